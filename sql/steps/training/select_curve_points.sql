-- Accuracy by size of subset, on the hold-out of this moment alone: other hold-outs are other yardsticks.
select
    learning_curve.count_train_rows as rows,
    avg(learning_curve.accuracy) as accuracy,
    avg(learning_curve.train_seconds) as seconds
from learning_curve
join model_versions on model_versions.model_version = learning_curve.model_version
where learning_curve.evaluation_set = 'holdout' and model_versions.holdout_digest = $holdout_digest
group by all
order by rows;
