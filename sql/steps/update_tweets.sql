-- What further sources say of tweets that are there already. A changed text is scored again.
delete from predictions
where tweet_id in (
    select incoming.tweet_id
    from incoming
    join tweets on tweets.tweet_id = incoming.tweet_id
    where tweets.text != incoming.text
);
update tweets
set posted_at = incoming.posted_at,
    user_name = incoming.user_name,
    query = incoming.query,
    text = incoming.text,
    raw_text = incoming.raw_text,
    label = incoming.label,
    label_source = incoming.label_source,
    has_label_conflict = incoming.has_label_conflict
from incoming
where tweets.tweet_id = incoming.tweet_id;
