-- Where does the time go? Runs, seconds and rows by flow and day.
select
    (started_at at time zone 'UTC')::date as day,
    flow,
    count(*) as count_runs,
    sum(seconds) as seconds,
    sum(count_rows)::bigint as count_rows,
    max(peak_memory_mb) as peak_memory_mb
from runs
group by all
order by day desc, seconds desc;
