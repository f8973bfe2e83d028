select max(count_train_rows) from model_versions;
