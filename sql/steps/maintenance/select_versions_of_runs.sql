-- The model versions of the training runs in `incoming`.
select model_versions.model_version, incoming.count_rows
from incoming
join model_versions on model_versions.run_id = incoming.run_id
order by model_versions.model_version;
