insert into repeated_lines by name select * exclude (split) from incoming;
