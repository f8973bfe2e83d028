-- The account of a file that is read again, with its rejected rows: both are written again.
delete from rejected_rows
where file_id = $file_id and file_id in (select file_id from files_to_read_again);
delete from ingest_files
where file_id = $file_id
    and gold_set is not distinct from $gold_set
    and is_labelled_by_emoticon = $is_labelled_by_emoticon;
delete from files_to_read_again where file_id = $file_id;
