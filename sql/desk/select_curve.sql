select * from learning_curve order by evaluation_set, count_train_rows, model_version;
