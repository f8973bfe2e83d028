-- Every version with how it did on the hold-out of its time and what the gate said last.
with
curve as (
    select *
    from learning_curve
    where evaluation_set = 'holdout'
    qualify row_number() over (partition by model_version order by evaluated_at desc) = 1
),
champions as (
    select model_version from alias_history where alias = 'champion' order by changed_at desc limit 1
),
former as (
    select from_version as model_version from alias_history where alias = 'champion' order by changed_at desc limit 1
),
verdicts as (
    select
        model_version,
        decided_at,
        champion_version,
        bool_and(passed) as passed,
        string_agg(check_name, ', ' order by check_name) filter (where not passed) as failed_checks
    from decisions
    group by decision_key, model_version, decided_at, champion_version
    qualify row_number() over (partition by model_version order by decided_at desc) = 1
)
select
    model_versions.model_version,
    model_versions.run_id,
    model_versions.count_train_rows,
    model_versions.count_fed_rows,
    model_versions.subset_rule,
    model_versions.seed,
    model_versions.config,
    model_versions.train_seconds,
    model_versions.train_peak_mb,
    model_versions.registered_at,
    curve.accuracy,
    curve.lower,
    curve.upper,
    curve.log_loss,
    curve.calibration_error,
    curve.count_rows as count_holdout,
    verdicts.passed,
    verdicts.failed_checks,
    verdicts.decided_at,
    verdicts.champion_version,
    model_versions.model_version in (select model_version from champions) as is_champion,
    model_versions.model_version in (select model_version from former) as is_previous,
    model_versions.model_version in (select model_version from published_model) as is_published
from model_versions
left join curve on curve.model_version = model_versions.model_version
left join verdicts on verdicts.model_version = model_versions.model_version
order by model_versions.model_version desc;
