insert into refused_files by name
select
    $path as path,
    $count_disk_bytes as count_disk_bytes,
    $modified_at as modified_at,
    $reason as reason,
    $now as refused_at;
