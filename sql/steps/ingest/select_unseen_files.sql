-- Files of `incoming` that have not been read or refused as they are now, so that the others need not be opened.
select incoming.path
from incoming
where
    not exists (
        from ingest_files
        where ingest_files.path = incoming.path
            and ingest_files.count_disk_bytes = incoming.count_disk_bytes
            and ingest_files.modified_at = incoming.modified_at
    )
    and not exists (
        from refused_files
        where refused_files.path = incoming.path
            and refused_files.count_disk_bytes = incoming.count_disk_bytes
            and refused_files.modified_at = incoming.modified_at
            and refused_files.refused_at >= incoming.source_changed_at
    );
