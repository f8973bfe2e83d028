-- Whether the unchanged file was read or refused before, so that it need not be opened again.
select
    exists (
        from ingest_files
        where path = $path and count_disk_bytes = $count_disk_bytes and modified_at = $modified_at
    )
    or exists (
        from refused_files
        where path = $path
            and count_disk_bytes = $count_disk_bytes
            and modified_at = $modified_at
            and refused_at >= $source_changed_at
    );
