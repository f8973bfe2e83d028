-- How good is the champion by month? On hold-out tweets, which it never saw, against the labels of their sources.
select
    strftime(make_timestamp(epoch_us(posted_at)), '%Y-%m') as month,
    count(*) as count_tweets,
    avg((scored.label = scored.source_label)::integer) as accuracy,
    avg((scored.label = scored.source_label)::integer) filter (source_label = 'negative') as accuracy_on_negative,
    avg((scored.label = scored.source_label)::integer) filter (source_label = 'positive') as accuracy_on_positive
from scored_tweets as scored
where source_label in ('negative', 'positive')
    and tweet_id in (select tweet_id from tweets where split = 'holdout')
group by month
order by month;
