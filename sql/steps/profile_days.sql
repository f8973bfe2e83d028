-- By day of posting, in UTC. `item` sorts as the day does.
select
    strftime((posted_at at time zone 'UTC')::date, '%Y-%m-%d') as item,
    class as label,
    'count_tweets' as measure,
    count(*)::double as value
from profiled
where posted_at is not null
group by all
order by item, label;
