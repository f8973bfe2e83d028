-- Where MLflow's store (SQLite) believes its artifacts are; the default experiment aside, which holds none of ours.
select artifact_location from experiments where artifact_location like 'file://%/artifacts' limit 1;
