-- No change is earlier than the one before it, also where a clock was set back: the newest row says who is champion.
insert into alias_history by name
select
    $alias as alias,
    $model_version as model_version,
    $from_version as from_version,
    (
        select greatest($now, coalesce(max(changed_at) + interval 1 microsecond, $now))
        from alias_history
        where alias = $alias
    ) as changed_at,
    $change as change,
    $changed_by as changed_by,
    $reason as reason;
