-- Versions that were never champion and were registered before $before; not those that passed and wait for approval, nor the
-- newest ones.
with
last_decisions as (
    select model_version, bool_and(passed) as is_passed
    from decisions
    where decided_at = (
        select max(decided_at) from decisions as others where others.model_version = decisions.model_version
    )
    group by model_version
)
select model_versions.model_version
from model_versions
left join last_decisions on last_decisions.model_version = model_versions.model_version
where model_versions.registered_at < $before
    and model_versions.model_version not in (select model_version from alias_history)
    and not coalesce(last_decisions.is_passed, false)
    and model_versions.model_version not in (
        select model_version from model_versions order by model_version desc limit $keep
    )
order by model_versions.model_version;
