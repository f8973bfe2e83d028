insert into corrections by name select * from incoming;
