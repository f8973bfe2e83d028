-- What happened last: files, decisions, changes of champion.
select *
from (
    select
        finished_at as happened_at,
        'file' as kind,
        parse_filename(path) as name,
        count_loaded as count_rows,
        null::integer as model_version,
        null::integer as from_version,
        null::varchar as reason
    from ingest_files
    union all
    select changed_at, change, changed_by, null, model_version, from_version, reason from alias_history where alias = 'champion'
    union all
    select
        decided_at,
        if(bool_and(passed), 'passed', 'refused'),
        string_agg(check_name, ', ') filter (where not passed),
        null,
        model_version,
        any_value(champion_version),
        any_value(reason) filter (where not passed)
    from decisions
    group by decision_key, decided_at, model_version
)
order by happened_at desc
limit 8;
