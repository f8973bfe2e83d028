insert into tweets by name
select
    tweet_id,
    source,
    source_id,
    posted_at,
    user_name,
    query,
    text,
    raw_text,
    label,
    label_source,
    has_label_conflict,
    text_key,
    split,
    $file_id as file_id,
    $ingested_at as ingested_at
from incoming;
