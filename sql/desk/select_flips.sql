-- Tweets that two versions label differently, by direction, with whom the source backs; null columns without either.
with
old as (select tweet_id, label from predictions where model_version = $champion),
new as (select tweet_id, label from predictions where model_version = $challenger)
select
    old.label as from_label,
    new.label as to_label,
    count(*) as count_tweets,
    count(*) filter (where tweets.label = new.label) as count_backs_new,
    count(*) filter (where tweets.label = old.label) as count_backs_old,
    (select count(*) from new) as count_scored
from old
join new on new.tweet_id = old.tweet_id
join tweets on tweets.tweet_id = old.tweet_id
where old.label != new.label
group by all
order by count_tweets desc;
