-- Which hours are happiest? Predicted sentiment by hour of the day, in UTC.
select
    hour(make_timestamp(epoch_us(posted_at))) as hour,
    count(*) as count_tweets,
    avg((label = 'positive')::integer) as share_positive
from scored_tweets
where posted_at is not null
group by hour
order by share_positive desc;
