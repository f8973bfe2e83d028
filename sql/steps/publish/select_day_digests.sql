-- What the scored tweets of each day hold, as a count and the sum of a number for each row; the order of rows does not matter.
with rows_by_day as (
    select coalesce(strftime(posted_at, '%Y-%m-%d'), $unknown_day) as day, hash(*columns(*)) as digest
    from scored_tweets
)
select day, count(*) as count_rows, count(*) || '-' || sum(digest) as digest
from rows_by_day
group by day
order by day;
