-- Tweets of each day (UTC) before `$until`.
select make_timestamp(epoch_us(posted_at))::date as day, count(*) as count_tweets
from tweets
where posted_at < $until
group by day
order by day;
