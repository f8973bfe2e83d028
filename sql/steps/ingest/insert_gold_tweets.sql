insert into gold_tweets by name
select
    $gold_set as gold_set,
    tweet_id,
    source,
    source_id,
    posted_at,
    user_name,
    query,
    text,
    raw_text,
    label,
    text_key,
    $file_id as file_id,
    $ingested_at as ingested_at
from incoming;
