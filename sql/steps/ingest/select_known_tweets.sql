-- Tweets that are there already, of the ids in `incoming`.
select
    tweet_id,
    posted_at,
    user_name,
    query,
    text,
    raw_text,
    label,
    label_source,
    has_label_conflict,
    text_key,
    file_id,
    ingested_at
from tweets
where tweet_id in (select tweet_id from incoming);
