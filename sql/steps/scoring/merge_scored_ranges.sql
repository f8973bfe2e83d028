-- Ranges of a version that touch become one row, so that the ledger does not grow with the number of runs.
create or replace temp table merged_ranges as
with
marked as (
    select
        *,
        first_number > coalesce(
            max(end_number) over (order by first_number rows between unbounded preceding and 1 preceding), -1
        ) as is_start
    from scored_ranges
    where model_version = $model_version
),
numbered as (
    select *, sum(is_start::integer) over (order by first_number) as island from marked
)
select
    model_version,
    min(first_number) as first_number,
    max(end_number) as end_number,
    sum(count_rows)::bigint as count_rows,
    arg_max(run_id, end_number) as run_id,
    max(scored_at) as scored_at
from numbered
group by model_version, island;
delete from scored_ranges where model_version = $model_version;
insert into scored_ranges by name from merged_ranges;
drop table merged_ranges;
