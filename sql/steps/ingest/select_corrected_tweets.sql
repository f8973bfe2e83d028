-- The newest label of each tweet of `incoming`, and whether there is such a tweet at all.
with
known as (
    select distinct tweet_id from tweets where tweet_id in (select tweet_id from incoming)
)
select
    incoming.tweet_id,
    known.tweet_id is not null as is_known,
    newest_corrections.label,
    newest_corrections.corrected_by
from incoming
left join known on known.tweet_id = incoming.tweet_id
left join newest_corrections on newest_corrections.tweet_id = incoming.tweet_id;
