-- The versions whose list of fed rows held forgotten rows, by the run that trained them; once a request.
insert into learnt_from_forgotten by name
select model_versions.model_version, incoming.count_rows, $now as noticed_at
from incoming
join model_versions on model_versions.run_id = incoming.run_id
where model_versions.model_version not in (
    select model_version from learnt_from_forgotten where noticed_at >= $asked_at::timestamptz
);
select model_versions.model_version, incoming.count_rows
from incoming
join model_versions on model_versions.run_id = incoming.run_id
order by model_versions.model_version;
