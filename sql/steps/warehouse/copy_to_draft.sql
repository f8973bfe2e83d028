copy from database warehouse to draft;
detach draft;
