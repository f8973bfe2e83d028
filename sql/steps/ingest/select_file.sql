-- The account of one content, read in one way; not one whose file has to be read again after another was withdrawn.
select path, count_lines, reading
from ingest_files
where file_id = $file_id
    and gold_set is not distinct from $gold_set
    and is_labelled_by_emoticon = $is_labelled_by_emoticon
    and file_id not in (select file_id from files_to_read_again);
