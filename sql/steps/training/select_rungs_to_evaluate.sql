-- Of each size of subset and kind of model the newest version, and the published one, if they were not evaluated on the hold-out of this moment;
-- largest first.
with
rungs as (
    select model_version, count_train_rows, train_seconds
    from model_versions
    qualify row_number() over (partition by count_train_rows, config ->> '$.effort', config ->> '$.custom.name' order by model_version desc) = 1
        or model_version in (select model_version from published_model)
)
select model_version, count_train_rows, train_seconds
from rungs
where model_version not in (select model_version from class_scores)
    or model_version not in (
        select model_version from learning_curve where evaluation_set = 'holdout' and holdout_digest = $holdout_digest
    )
order by count_train_rows desc, model_version desc;
