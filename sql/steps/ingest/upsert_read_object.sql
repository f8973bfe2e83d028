delete from read_objects
where object_name = $name
    and gold_set is not distinct from $gold_set
    and is_labelled_by_emoticon = $is_labelled_by_emoticon;
insert into read_objects by name
select
    $name as object_name,
    $gold_set as gold_set,
    $is_labelled_by_emoticon as is_labelled_by_emoticon,
    $count_bytes as count_bytes,
    $modified_at as modified_at,
    $file_id as file_id,
    $now as read_at;
