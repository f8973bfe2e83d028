with
counted as (
    select 0 as position, 'tweets' as item, count(*) as count_rows from tweets
    union all
    select list_position(['negative', 'positive', 'neutral', 'unlabelled', 'conflicting'], class), class, count(*)
    from profiled
    group by class
    union all
    select 6, 'hand-labelled', count(*) from gold_tweets
    union all
    select 7, 'rejected lines', count(*) from rejected_rows
    union all
    select 8, 'files', count(distinct file_id) from ingest_files
)
select item, null::varchar as label, 'count_rows' as measure, count_rows::double as value
from counted
order by position;
