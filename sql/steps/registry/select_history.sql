select changed_at, model_version, from_version, change, changed_by, reason
from alias_history
where alias = 'champion'
order by changed_at desc;
