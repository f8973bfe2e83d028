select parse_filename(path) as name, finished_at, count_lines, count_loaded, count_duplicate, count_rejected, gold_set
from ingest_files
order by finished_at desc
limit 10;
