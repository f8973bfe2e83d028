insert into model_versions by name select * from incoming;
