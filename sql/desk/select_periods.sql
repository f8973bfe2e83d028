-- Predictions by day or week, with the 95 % Wilson interval of the share.
with
periods as (
    select
        if($unit = 'week', date_trunc('week', day), day)::date as day,
        sum(count_tweets)::bigint as count_tweets,
        sum(count_scored)::bigint as count_scored,
        sum(count_positive)::bigint as count_positive
    from days
    where ($first::date is null or day >= $first::date) and ($last::date is null or day <= $last::date)
    group by all
),
shares as (
    select *, count_positive / nullif(count_scored, 0) as share, 3.8415 as z2 from periods
)
select
    day,
    count_tweets,
    count_scored,
    count_positive,
    share,
    (share + z2 / (2 * count_scored) - sqrt(z2 * (share * (1 - share) + z2 / (4 * count_scored)) / count_scored)) / (1 + z2 / count_scored) as lower,
    (share + z2 / (2 * count_scored) + sqrt(z2 * (share * (1 - share) + z2 / (4 * count_scored)) / count_scored)) / (1 + z2 / count_scored) as upper
from shares
order by day;
