select count(*) from model_versions where model_version = $model_version;
