-- The champion that a version replaced when it was promoted; going back to it is no promotion.
select from_version
from alias_history
where alias = 'champion' and model_version = $model_version and change != 'rollback'
order by changed_at desc
limit 1;
