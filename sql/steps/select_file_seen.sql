-- Whether a file was read as it lies there, so that it need not be opened again.
select count(*) > 0
from ingest_files
where path = $path and count_disk_bytes = $count_disk_bytes and modified_at = $modified_at;
