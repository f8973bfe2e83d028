-- What a file that is read again had brought when it was read first.
select sum(count_loaded)
from ingest_files
where file_id = $file_id
    and gold_set is not distinct from $gold_set
    and is_labelled_by_emoticon = $is_labelled_by_emoticon;
