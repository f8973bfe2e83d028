insert into alias_history by name
select
    $alias as alias,
    $model_version as model_version,
    $from_version as from_version,
    $now as changed_at,
    $change as change,
    $changed_by as changed_by,
    $reason as reason;
