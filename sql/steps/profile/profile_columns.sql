with
missing as (
    select
        count(*) as count_tweets,
        count(*) filter (posted_at is null) as posted_at,
        count(*) filter (user_name is null) as user_name,
        count(*) filter (query is null) as query,
        count(*) filter (label is null) as label
    from tweets
),
by_column as (
    unpivot missing on posted_at, user_name, query, label into name item value count_missing
)
select item, null::varchar as label, measure, value
from (
    select item, 'count_missing' as measure, count_missing::double as value from by_column
    union all
    select item, 'share_missing', count_missing / count_tweets from by_column
)
order by item, measure;
