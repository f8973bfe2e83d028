-- The newest version of each size of subset that was not evaluated on the hold-out of this moment, largest first.
with
evaluated as (
    select count_train_rows from learning_curve where evaluation_set = 'holdout' and holdout_digest = $holdout_digest
)
select model_version, count_train_rows, train_seconds
from model_versions
where count_train_rows not in (select count_train_rows from evaluated)
qualify row_number() over (partition by count_train_rows order by model_version desc) = 1
order by count_train_rows desc;
