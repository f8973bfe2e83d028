-- The scored tweets of the days in `incoming`, day by day.
select source.*, incoming.day
from scored_tweets as source
join incoming on incoming.day = coalesce(strftime(source.posted_at, '%Y-%m-%d'), $unknown_day)
order by incoming.day, source.tweet_id;
