-- By hour of posting, in UTC.
select
    strftime(make_timestamp(epoch_us(posted_at)), '%H') as item,
    class as label,
    'count_tweets' as measure,
    count(*)::double as value
from profiled
where posted_at is not null
group by all
order by item, label;
