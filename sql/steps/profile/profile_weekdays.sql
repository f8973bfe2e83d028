-- By day of the week of posting, in UTC, Monday first.
select
    dayname(make_timestamp(epoch_us(posted_at))) as item,
    class as label,
    'count_tweets' as measure,
    count(*)::double as value
from profiled
where posted_at is not null
group by all
order by any_value(isodow(make_timestamp(epoch_us(posted_at)))), label;
