-- The account of one content, read in one way.
select path, count_lines
from ingest_files
where file_id = $file_id
    and gold_set is not distinct from $gold_set
    and is_labelled_by_emoticon = $is_labelled_by_emoticon;
