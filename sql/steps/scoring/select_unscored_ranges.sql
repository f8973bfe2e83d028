-- Ranges of change numbers that a version has not scored: what lies between and behind the ranges of the ledger.
with
covered as (
    select first_number, end_number from scored_ranges where model_version = $model_version
    union all
    select 1, 1
),
gaps as (
    select
        end_number as first_number,
        lead(first_number, 1, (select coalesce(max(change_number), 0) + 1 from tweets)) over (
            order by first_number, end_number
        ) as end_number
    from covered
)
select first_number, end_number from gaps where first_number < end_number order by first_number;
