select model_version from alias_history where alias = $alias order by changed_at desc limit 1;
