-- Of the tweets that people labelled, those that two versions label differently, and whom people back.
with
old as (select tweet_id, label from predictions where model_version = $champion),
new as (select tweet_id, label from predictions where model_version = $challenger)
select
    count(*) as count_tweets,
    count(*) filter (where newest_corrections.label = new.label) as count_backs_new,
    count(*) filter (where newest_corrections.label = old.label) as count_backs_old
from newest_corrections
join old on old.tweet_id = newest_corrections.tweet_id
join new on new.tweet_id = newest_corrections.tweet_id
where old.label != new.label;
