-- By day, month, hour or weekday of posting, in UTC. Days and months sort as their names do, weekdays from Monday on.
with
posted as (
    select class, make_timestamp(epoch_us(posted_at)) as posted_at from profiled where posted_at is not null
)
select
    case $unit
        when 'days' then strftime(posted_at::date, '%Y-%m-%d')
        when 'months' then strftime(posted_at, '%Y-%m')
        when 'hours' then strftime(posted_at, '%H')
        when 'weekdays' then dayname(posted_at)
    end as item,
    class as label,
    'count_tweets' as measure,
    count(*)::double as value
from posted
group by all
order by if($unit = 'weekdays', any_value(isodow(posted_at)), 0), item, label;
