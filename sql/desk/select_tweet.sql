select tweets.*, ingest_files.path
from tweets
left join ingest_files on ingest_files.file_id = tweets.file_id
where tweet_id = $tweet_id;
