delete from source_watermarks where source_key = $source_key;
insert into source_watermarks by name
select
    $source_key as source_key,
    $address as address,
    $watermark_type as watermark_type,
    $watermark as watermark,
    $now as reached_at;
