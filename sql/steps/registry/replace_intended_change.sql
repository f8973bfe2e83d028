delete from intended_change;
insert into intended_change by name
select
    $model_version as model_version,
    $change as change,
    $changed_by as changed_by,
    $reason as reason;
