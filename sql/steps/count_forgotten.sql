select count(*) from forgotten;
