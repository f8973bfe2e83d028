-- The newest label of each tweet of `incoming`, and whether there is such a tweet at all.
select
    incoming.tweet_id,
    incoming.tweet_id in (select tweet_id from tweets) as is_known,
    newest_corrections.label,
    newest_corrections.corrected_by
from incoming
left join newest_corrections on newest_corrections.tweet_id = incoming.tweet_id;
