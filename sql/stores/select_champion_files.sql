-- MLflow's store (SQLite): the version that an alias of a registered model points to, its files, and what is known of it.
select
    versions.version,
    versions.run_id,
    coalesce(versions.storage_location, versions.source) as address,
    (
        select json_group_object(tags.key, tags.value)
        from model_version_tags as tags
        where tags.name = versions.name and tags.version = versions.version
    ) as tags,
    (
        select json_group_object(metrics.key, metrics.value)
        from latest_metrics as metrics
        where metrics.run_uuid = versions.run_id and not metrics.is_nan
    ) as metrics
from registered_model_aliases as aliases
inner join model_versions as versions on aliases.name = versions.name and aliases.version = versions.version
where aliases.name = :name and aliases.alias = :alias;
