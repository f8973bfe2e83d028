-- The versions whose list of fed rows held forgotten rows, by the run that trained them.
insert into learnt_from_forgotten by name
select model_versions.model_version, incoming.count_rows, $now as noticed_at
from incoming
join model_versions on model_versions.run_id = incoming.run_id;
select model_versions.model_version, incoming.count_rows
from incoming
join model_versions on model_versions.run_id = incoming.run_id
order by model_versions.model_version;
