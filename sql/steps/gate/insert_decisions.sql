insert into decisions by name select * from incoming;
