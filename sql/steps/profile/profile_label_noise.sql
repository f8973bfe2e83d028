-- Two estimates of how many labels are wrong.
-- copies: two copies of a text with independent errors at rate e disagree with probability d = 2e(1-e), so
-- e = (1 - sqrt(1 - 2d)) / 2; each text counts once. Texts that are truly either count as errors.
-- champion: confident learning, Northcutt, Jiang and Chuang (2021): a hold-out label is doubted when the other label is as
-- probable as it usually is where it is given. The champion never saw these rows; its own sure mistakes count as errors.
with
copies as (
    select count(*) as count_rows, count(*) filter (class = 'positive') as count_positive
    from profiled
    where class in ('negative', 'positive')
    group by text_key
    having count(*) > 1
),
disagreement as (
    select
        count(*) as count_texts,
        sum(count_rows) as count_tweets,
        avg(2 * count_positive * (count_rows - count_positive) / (count_rows * (count_rows - 1))) as share_disagreeing
    from copies
),
judged as (
    select profiled.class, predictions.probability_positive
    from profiled
    join predictions on predictions.tweet_id = profiled.tweet_id
    join published_model on published_model.model_version = predictions.model_version
    where profiled.split = 'holdout' and profiled.class in ('negative', 'positive')
),
usual as (
    select
        avg(probability_positive) filter (class = 'positive') as positive,
        avg(1 - probability_positive) filter (class = 'negative') as negative
    from judged
),
doubted as (
    select
        class,
        count(*) as count_tweets,
        count(*) filter ((class = 'positive') != (probability_positive >= 0.5)) as count_disagreeing,
        count(*) filter (
            if(class = 'negative', probability_positive >= greatest(usual.positive, 0.5), 1 - probability_positive >= greatest(usual.negative, 0.5))
        ) as count_doubted
    from judged, usual
    group by grouping sets ((), (class))
),
long as (
    select 'copies' as item, null::varchar as label, 'count_texts' as measure, count_texts::double as value from disagreement
    union all
    select 'copies', null, 'count_tweets', count_tweets from disagreement
    union all
    select 'copies', null, 'share_disagreeing', share_disagreeing from disagreement
    union all
    select 'copies', null, 'share_wrong_labels', (1 - sqrt(greatest(0, 1 - 2 * share_disagreeing))) / 2 from disagreement
    union all
    select 'champion', class, 'count_tweets', count_tweets from doubted
    union all
    select 'champion', class, 'count_doubted', count_doubted from doubted
    union all
    select 'champion', class, 'share_disagreeing', count_disagreeing / nullif(count_tweets, 0) from doubted
    union all
    select 'champion', class, 'share_wrong_labels', count_doubted / nullif(count_tweets, 0) from doubted
)
select item, label, measure, value
from long
where value is not null
order by item desc, label nulls first, measure;
