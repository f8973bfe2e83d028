-- MLflow's store (SQLite): while a file of a run is rewritten, its version has no digest of it.
delete from model_version_tags
where key = :tag
    and exists (
        select 1
        from model_versions
        where model_versions.name = model_version_tags.name
            and model_versions.version = model_version_tags.version
            and model_versions.run_id = :run_id
    );
