-- Accuracy by size of subset, on the hold-out of this moment alone: other hold-outs are other yardsticks.
select
    count_train_rows as rows,
    avg(accuracy) as accuracy,
    avg(train_seconds) as seconds
from learning_curve
where evaluation_set = 'holdout' and holdout_digest = $holdout_digest
group by all
order by rows;
