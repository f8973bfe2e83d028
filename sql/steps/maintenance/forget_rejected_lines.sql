-- The line stays counted; its bytes go.
update rejected_rows
set raw_line = ''::blob,
    reason = 'forgotten'
from incoming
where rejected_rows.file_id = incoming.file_id and rejected_rows.line_number = incoming.line_number;
