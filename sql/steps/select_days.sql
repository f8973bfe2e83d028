-- Tweets of each day (UTC) before `$until`.
select (posted_at at time zone 'UTC')::date as day, count(*) as count_tweets
from tweets
where posted_at < $until
group by day
order by day;
