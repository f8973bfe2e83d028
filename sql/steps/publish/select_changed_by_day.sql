-- As select_rows_by_day, of the tweets in `incoming`.
select source.*, coalesce(strftime(source.posted_at, '%Y-%m-%d'), '') as day
from scored_tweets as source
join incoming on incoming.tweet_id = source.tweet_id;
