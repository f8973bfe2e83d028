-- Why was a model refused? The checks that it failed, newest decision first.
select decided_at, model_version, champion_version, check_name, champion_value, challenger_value, threshold, reason
from decisions
where not passed
order by decided_at desc, model_version desc, check_name;
