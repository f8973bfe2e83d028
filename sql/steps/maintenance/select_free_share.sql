-- How much of the warehouse file is free blocks: bytes, and share of the file.
select free_blocks * block_size as free_bytes, free_blocks / greatest(total_blocks, 1) as free_share
from pragma_database_size()
where database_name = current_database();
