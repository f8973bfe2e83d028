-- The rows of a file whose account was never written; those of the same content read earlier carry another time.
delete from tweets
using unfinished_files
where tweets.file_id = unfinished_files.file_id and tweets.ingested_at = unfinished_files.ingested_at;
delete from gold_tweets
using unfinished_files
where gold_tweets.file_id = unfinished_files.file_id and gold_tweets.ingested_at = unfinished_files.ingested_at;
delete from unfinished_files;
