select model_version from published_model;
