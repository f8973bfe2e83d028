-- Duplicate lines of files that earlier versions loaded: what those lines said is not known any more.
select coalesce(sum(count_duplicate), 0) from ingest_files where not coalesce(is_withdrawable, false);
