select path from ingest_files group by path order by max(finished_at) desc limit 6;
