select check_name, champion_value, challenger_value, lower, upper, threshold, passed, reason
from decisions
where decision_key = (
    select decision_key from decisions where model_version = $model_version order by decided_at desc limit 1
);
