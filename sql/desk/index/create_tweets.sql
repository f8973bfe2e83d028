-- Tweets with the published version's predictions, newest first, so that pages need no join; `position` is the order.
-- Grain: one row a tweet.
create table tweets as
with
published as (
    select tweet_id, label, probability_positive
    from snapshot.predictions
    where model_version = (select model_version from snapshot.published_model)
)
select
    (row_number() over (order by tweets.posted_at desc nulls last, tweets.tweet_id desc) - 1)::integer as position,
    tweets.tweet_id,
    tweets.posted_at,
    make_timestamp(epoch_us(tweets.posted_at))::date as day,
    tweets.user_name,
    tweets.query,
    parse_filename(ingest_files.path) as source,
    tweets.text,
    tweets.label as source_label,
    tweets.split,
    published.label,
    published.probability_positive
from snapshot.tweets
left join published on published.tweet_id = tweets.tweet_id
left join snapshot.ingest_files on ingest_files.file_id = tweets.file_id
order by position;
