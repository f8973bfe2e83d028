-- In steps of 10: 20 is 20 to 29; 200 is 200 and more.
with
bucketed as (
    select class, least(length(text) // 10 * 10, 200) as bucket from profiled
),
counted as (
    select bucket, class, count(*) as count_tweets from bucketed group by all
)
select bucket::varchar as item, class as label, 'count_tweets' as measure, count_tweets::double as value
from counted
order by bucket, class;
