insert into learning_curve by name select * from incoming;
