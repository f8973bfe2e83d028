-- Addresses in MLflow's store (SQLite) after its home was moved: from :before to :after, which both are folders of a home.
update experiments set artifact_location = :after || substr(artifact_location, length(:before) + 1)
where substr(artifact_location, 1, length(:before)) = :before;
update runs set artifact_uri = :after || substr(artifact_uri, length(:before) + 1)
where substr(artifact_uri, 1, length(:before)) = :before;
update logged_models set artifact_location = :after || substr(artifact_location, length(:before) + 1)
where substr(artifact_location, 1, length(:before)) = :before;
update model_versions set storage_location = :after || substr(storage_location, length(:before) + 1)
where substr(storage_location, 1, length(:before)) = :before;
update model_versions set source = :after || substr(source, length(:before) + 1)
where substr(source, 1, length(:before)) = :before;
update datasets set dataset_source = replace(dataset_source, '"' || :before, '"' || :after);
