with
champion as (
    select model_version, changed_at, changed_by from alias_history where alias = 'champion' order by changed_at desc limit 1
)
select
    champion.model_version,
    champion.changed_at as since,
    champion.changed_by,
    model_versions.count_train_rows as train_rows,
    learning_curve.accuracy as holdout_accuracy,
    learning_curve.lower,
    learning_curve.upper,
    (select model_version from published_model) as published_version,
    (
        select count(*) from predictions where predictions.model_version = champion.model_version
    ) / nullif((select count(*) from tweets), 0) as coverage
from champion
left join model_versions on model_versions.model_version = champion.model_version
left join learning_curve
    on learning_curve.model_version = champion.model_version and learning_curve.evaluation_set = 'holdout';
