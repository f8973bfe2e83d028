-- Accuracy by size of subset of versions of one kind, that is of an effort or a user's own model, on the hold-out of this moment
-- alone: other kinds rise otherwise, and other hold-outs are other yardsticks.
with
kinds as (
    select model_version, config ->> '$.effort' as effort, config ->> '$.custom.name' as own_model
    from model_versions
)
select
    learning_curve.count_train_rows as rows,
    avg(learning_curve.accuracy) as accuracy,
    avg(learning_curve.train_seconds) as seconds
from learning_curve
join kinds on kinds.model_version = learning_curve.model_version
join kinds as trained
    on trained.model_version = $model_version
    and trained.effort is not distinct from kinds.effort
    and trained.own_model is not distinct from kinds.own_model
where learning_curve.evaluation_set = 'holdout' and learning_curve.holdout_digest = $holdout_digest
group by all
order by rows;
