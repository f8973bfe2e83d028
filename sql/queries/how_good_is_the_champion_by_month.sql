-- How good is the champion by month? On hold-out tweets, which it never saw, against the labels of their sources.
with
judged as (
    select
        strftime(make_timestamp(epoch_us(posted_at)), '%Y-%m') as month,
        source_label,
        ((probability_positive >= 0.5) = (source_label = 'positive'))::integer as is_right
    from scored_tweets
    where source_label in ('negative', 'positive')
        and tweet_id in (select tweet_id from tweets where split = 'holdout')
)
select
    month,
    count(*) as count_tweets,
    avg(is_right) as accuracy,
    avg(is_right) filter (source_label = 'negative') as accuracy_on_negative,
    avg(is_right) filter (source_label = 'positive') as accuracy_on_positive
from judged
group by month
order by month;
