-- Whether the newest decision on a version passed every check and is newer than the last change of the alias: a version
-- that was champion before passed once as well.
with
last_decision as (
    select decision_key, decided_at
    from decisions
    where model_version = $model_version
    order by decided_at desc
    limit 1
),
last_change as (
    select max(changed_at) as changed_at from alias_history where alias = $alias
)
select bool_and(passed)
from decisions
where decision_key in (select decision_key from last_decision)
    and decided_at > coalesce((select changed_at from last_change), '-infinity'::timestamptz);
