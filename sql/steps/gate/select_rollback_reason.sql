-- Why people went back from a version, unless they made it champion again since.
select case when change = 'rollback' then changed_by || ': ' || reason end
from alias_history
where alias = 'champion' and (model_version = $model_version or (from_version = $model_version and change = 'rollback'))
order by changed_at desc
limit 1;
