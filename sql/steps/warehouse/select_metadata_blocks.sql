-- Blocks of this database that hold metadata, and the size of a block in bytes; DuckDB writes these in place.
select block_id, block_size
from pragma_metadata_info()
cross join (select block_size from pragma_database_size() where database_name = current_database()) as sizes
order by block_id;
