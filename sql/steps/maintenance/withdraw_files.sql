-- Everything else that the files in `incoming` have left; files of which rows were rejected because of them are read again.
insert into files_to_read_again by name
select distinct ingest_files.file_id, $now as noticed_at
from ingest_files
join rejected_rows on rejected_rows.file_id = ingest_files.file_id
where rejected_rows.reason = 'text_mismatch'
    and ingest_files.finished_at > (select min(started_at) from incoming)
    and ingest_files.file_id not in (select file_id from incoming)
    and ingest_files.file_id not in (select file_id from files_to_read_again);
delete from repeated_tweets where file_id in (select file_id from incoming);
-- With one statement left, tweets itself says what it says.
delete from repeated_tweets
where tweet_id in (select tweet_id from repeated_tweets group by tweet_id having count(*) = 1);
delete from gold_tweets where file_id in (select file_id from incoming);
delete from rejected_rows where file_id in (select file_id from incoming);
delete from files_to_read_again where file_id in (select file_id from incoming);
delete from refused_files where path in (select path from incoming);
update forgotten set file_id = null where file_id in (select file_id from incoming);
delete from source_watermarks
where exists (
    select 1 from incoming where incoming.path = source_watermarks.address || ' query ' || source_watermarks.source_key
);
insert into withdrawn_files by name
select
    file_id,
    path,
    gold_set,
    reading,
    count_lines,
    count_loaded,
    count_duplicate,
    count_rejected,
    $count_kept as count_kept,
    finished_at as ingested_at,
    $now as withdrawn_at
from incoming;
delete from ingest_files where file_id in (select file_id from incoming);
select path
from ingest_files
where file_id in (select file_id from files_to_read_again)
order by path;
