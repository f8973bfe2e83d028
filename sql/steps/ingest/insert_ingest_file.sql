insert into ingest_files by name
select
    $file_id as file_id,
    $path as path,
    $gold_set as gold_set,
    $is_labelled_by_emoticon as is_labelled_by_emoticon,
    $continues_file_id as continues_file_id,
    $count_bytes as count_bytes,
    $count_disk_bytes as count_disk_bytes,
    $modified_at as modified_at,
    $count_lines as count_lines,
    $count_loaded as count_loaded,
    $count_duplicate as count_duplicate,
    $count_rejected as count_rejected,
    $started_at as started_at,
    $now as finished_at;
