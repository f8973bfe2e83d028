-- By day of posting, in UTC. `item` sorts as the day does.
select
    strftime(make_timestamp(epoch_us(posted_at))::date, '%Y-%m-%d') as item,
    class as label,
    'count_tweets' as measure,
    count(*)::double as value
from profiled
where posted_at is not null
group by all
order by item, label;
