-- Objects of `incoming` that were not read as they are now, in the same way; after a withdrawal, all that it took out. Those that
-- were refused as they are count as read where the source has not changed since $refused_since; with null they are tried again.
select incoming.name
from incoming
where not exists (
    select 1
    from read_objects
    join ingest_files using (file_id)
    where read_objects.object_name = incoming.name
        and read_objects.count_bytes = incoming.count_bytes
        and read_objects.modified_at = incoming.modified_at
        and read_objects.gold_set is not distinct from $gold_set
        and read_objects.is_labelled_by_emoticon = $is_labelled_by_emoticon
        and ingest_files.gold_set is not distinct from $gold_set
        and ingest_files.is_labelled_by_emoticon = $is_labelled_by_emoticon
        and file_id not in (select file_id from files_to_read_again)
)
and not exists (
    select 1
    from refused_files
    where refused_files.path = incoming.name
        and refused_files.count_disk_bytes = incoming.count_bytes
        and refused_files.modified_at = incoming.modified_at
        and refused_files.refused_at >= $refused_since::timestamptz
);
