-- Earlier contents of a path, read in the same way, longest first.
select file_id, count_bytes, reading_details
from ingest_files
where path = $path
    and gold_set is not distinct from $gold_set
    and is_labelled_by_emoticon = $is_labelled_by_emoticon
order by count_bytes desc, finished_at desc;
