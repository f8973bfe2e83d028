insert into unfinished_files by name select $file_id as file_id, $ingested_at as ingested_at;
