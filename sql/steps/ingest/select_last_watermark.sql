-- How far an earlier run of the same query came; the newest account has it behind its address.
select path
from ingest_files
where starts_with(path, $prefix)
order by finished_at desc
limit 1;
