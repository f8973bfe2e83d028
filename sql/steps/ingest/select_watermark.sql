-- How far an earlier run of the same query came.
select watermark_type, watermark from source_watermarks where source_key = $source_key;
