-- Tweets whose first file is withdrawn belong to the next one that has them; for its account they are loaded, no duplicates.
create or replace temp table moved as
select incoming.tweet_id, incoming.file_id, incoming.stated_at
from incoming
join tweets on tweets.tweet_id = incoming.tweet_id
where tweets.file_id != incoming.file_id;
update tweets
set file_id = moved.file_id, ingested_at = moved.stated_at, change_number = nextval('change_numbers')
from moved
where tweets.tweet_id = moved.tweet_id;
update ingest_files
set count_loaded = count_loaded + counted.count_rows, count_duplicate = count_duplicate - counted.count_rows
from (select file_id, count(*) as count_rows from moved group by file_id) as counted
where ingest_files.file_id = counted.file_id and ingest_files.gold_set is null;
drop table moved;
