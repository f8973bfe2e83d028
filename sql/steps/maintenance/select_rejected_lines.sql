select file_id, line_number, raw_line from rejected_rows where octet_length(raw_line) > 0;
