-- How long the texts of each day are, in steps of ten characters.
select make_timestamp(epoch_us(posted_at))::date as day, least(length(text) // 10, 20)::varchar as cell, count(*) as count
from tweets
where posted_at >= $first and posted_at < $until
group by all;
