-- Files whose lines are not all accounted for in the tables. Expected: none; what was forgotten on request still counts as
-- loaded for the file that brought it.
-- Likely cause: rows deleted or added by hand, or a file that was merged in more than one transaction.
with
loaded as (
    select file_id, count(*) as count_rows from tweets group by file_id
    union all
    select file_id, count(*) as count_rows from gold_tweets group by file_id
    union all
    select file_id, count(*) as count_rows from forgotten where file_id is not null group by file_id
),
rejected as (
    select file_id, count(*) as count_rows from rejected_rows group by file_id
),
expected as (
    select file_id, sum(count_loaded) as count_loaded, sum(count_rejected) as count_rejected
    from ingest_files
    group by file_id
),
found as (
    select
        expected.*,
        coalesce((select sum(count_rows) from loaded where loaded.file_id = expected.file_id), 0) as count_found,
        coalesce((select sum(count_rows) from rejected where rejected.file_id = expected.file_id), 0) as count_kept
    from expected
)
select * from found where count_loaded != count_found or count_rejected != count_kept;
