insert into class_scores by name select * from incoming;
