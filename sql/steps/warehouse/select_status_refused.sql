-- The refused version that is most accurate, if it is more so than the champion on the same hold-out: what a person may want to see.
with
champion as (
    select model_version from alias_history where alias = 'champion' order by changed_at desc limit 1
),
accuracy as (
    select model_version, holdout_digest, accuracy
    from learning_curve
    where evaluation_set = 'holdout'
    qualify row_number() over (partition by model_version order by evaluated_at desc) = 1
),
last_decisions as (
    select model_version, decision_key, max(decided_at) as decided_at, string_agg(check_name, ', ' order by check_name) filter (where not passed) as refused_by
    from decisions
    group by model_version, decision_key
    qualify row_number() over (partition by model_version order by max(decided_at) desc) = 1
)
select
    last_decisions.model_version,
    last_decisions.refused_by,
    challenger.accuracy as holdout_accuracy,
    champions.accuracy as champion_accuracy,
    last_decisions.decided_at
from last_decisions
join accuracy as challenger on challenger.model_version = last_decisions.model_version
cross join champion
join accuracy as champions
    on champions.model_version = champion.model_version and champions.holdout_digest = challenger.holdout_digest
where last_decisions.refused_by is not null
    and last_decisions.model_version != champion.model_version
    and challenger.accuracy > champions.accuracy
order by challenger.accuracy desc
limit 1;
