with
champion as (
    select model_version, changed_at, changed_by from alias_history where alias = 'champion' order by changed_at desc limit 1
),
newest_accuracy as (
    select model_version, accuracy, lower, upper
    from learning_curve
    where evaluation_set = 'holdout'
    qualify row_number() over (partition by model_version order by evaluated_at desc) = 1
)
select
    champion.model_version,
    champion.changed_at as since,
    champion.changed_by,
    model_versions.count_train_rows as train_rows,
    newest_accuracy.accuracy as holdout_accuracy,
    newest_accuracy.lower,
    newest_accuracy.upper,
    (select model_version from published_model) as published_version,
    (
        select count(*) from predictions where predictions.model_version = champion.model_version
    ) / nullif((select count(*) from tweets), 0) as coverage
from champion
left join model_versions on model_versions.model_version = champion.model_version
left join newest_accuracy on newest_accuracy.model_version = champion.model_version;
