insert into rejected_rows by name
select $file_id as file_id, line_number, reason, raw_line, count_bytes
from rejected_lines;
