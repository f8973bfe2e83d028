-- Each version on each evaluation set, as it was measured last.
select *
from learning_curve
qualify row_number() over (partition by model_version, evaluation_set order by evaluated_at desc) = 1
order by evaluation_set, count_train_rows, model_version;
