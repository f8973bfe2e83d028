-- Scored tweets with the day that they were posted, in UTC; '' where that is not known.
select *, coalesce(strftime(posted_at, '%Y-%m-%d'), '') as day
from scored_tweets;
