-- Runs of characters other than spaces; 40 is 40 and more.
with
bucketed as (
    select class, least(len(list_filter(string_split(text, ' '), lambda word: word != '')), 40) as bucket from profiled
),
counted as (
    select bucket, class, count(*) as count_tweets from bucketed group by all
)
select bucket::varchar as item, class as label, 'count_tweets' as measure, count_tweets::double as value
from counted
order by bucket, class;
