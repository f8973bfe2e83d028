-- What changed with the new champion? Tweets that its predecessor labelled otherwise, and which of the two their source backs.
with
last_change as (
    select model_version, from_version
    from alias_history
    where alias = 'champion' and from_version is not null
    order by changed_at desc
    limit 1
),
old as (
    select tweet_id, label from predictions where model_version = (select from_version from last_change)
),
new as (
    select tweet_id, label from predictions where model_version = (select model_version from last_change)
),
changed as (
    select tweet_id, old.label as from_label, new.label
    from old
    join new using (tweet_id)
    where old.label != new.label
)
select
    last_change.from_version,
    last_change.model_version,
    changed.from_label,
    changed.label,
    count(*) as count_tweets,
    count(*) filter (tweets.label = changed.label) as count_source_backs_new,
    count(*) filter (tweets.label = changed.from_label) as count_source_backs_old
from changed
join tweets using (tweet_id), last_change
group by all
order by count_tweets desc;
