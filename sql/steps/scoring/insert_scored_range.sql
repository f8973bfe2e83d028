insert into scored_ranges by name
select
    $model_version as model_version,
    $first_number as first_number,
    $end_number as end_number,
    $count_rows as count_rows,
    $run_id as run_id,
    $scored_at as scored_at;
