-- Which days turned? Days whose share of positive tweets moved most against the week before, with at least 100 tweets.
with
smoothed as (
    select
        day,
        count_tweets,
        share_positive,
        avg(share_positive) over (order by day range between interval 7 days preceding and interval 1 day preceding) as share_before
    from daily_sentiment
    where count_tweets >= 100
)
select day, count_tweets, share_positive, share_before, share_positive - share_before as change
from smoothed
where share_before is not null
order by abs(change) desc
limit 20;
