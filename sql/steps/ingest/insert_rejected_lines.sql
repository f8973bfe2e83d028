insert into rejected_lines by name select * from incoming;
