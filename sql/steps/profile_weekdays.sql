-- By day of the week of posting, in UTC, Monday first.
select
    dayname(posted_at at time zone 'UTC') as item,
    class as label,
    'count_tweets' as measure,
    count(*)::double as value
from profiled
where posted_at is not null
group by all
order by any_value(isodow(posted_at at time zone 'UTC')), label;
