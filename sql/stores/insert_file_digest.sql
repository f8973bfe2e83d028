-- MLflow's store (SQLite): the digest of a file of a run that was rewritten, for the version of that run.
insert or replace into model_version_tags (name, version, key, value)
select name, version, :tag, :digest
from model_versions
where run_id = :run_id;
