select check_name, champion_value, challenger_value, lower, upper, threshold, passed, reason
from decisions
where decision_key = $decision_key;
