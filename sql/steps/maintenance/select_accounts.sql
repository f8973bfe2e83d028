-- The accounts of one file: by its path, by its content, or by the first digits of its file_id; with all that continue it.
with recursive
named as (
    select file_id
    from ingest_files
    where path = $path or file_id = $file_id or (length($path) >= 8 and starts_with(file_id, $path))
),
chain as (
    select file_id from named
    union
    select ingest_files.file_id
    from ingest_files
    join chain on ingest_files.continues_file_id = chain.file_id
)
select
    file_id,
    path,
    gold_set,
    reading,
    count_lines,
    count_loaded,
    count_duplicate,
    count_rejected,
    coalesce(is_withdrawable, false) as is_withdrawable,
    started_at,
    finished_at
from ingest_files
where file_id in (select file_id from chain)
order by finished_at;
