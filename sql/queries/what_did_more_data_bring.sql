-- What did more data bring? Accuracy by rows of training, with its interval and what it cost.
select
    count_train_rows,
    evaluation_set,
    max(accuracy) as accuracy,
    arg_max(lower, accuracy) as lower,
    arg_max(upper, accuracy) as upper,
    arg_max(train_seconds, accuracy) as train_seconds,
    arg_max(model_version, accuracy) as model_version
from learning_curve
group by all
order by evaluation_set, count_train_rows;
