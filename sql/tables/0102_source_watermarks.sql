-- How far each query to another database has come. Earlier versions kept that behind the address, in ingest_files.path.

create table source_watermarks (
    source_key varchar not null,
    address varchar not null,
    watermark_type varchar not null,
    watermark varchar not null,
    reached_at timestamptz not null
);
comment on table source_watermarks is 'One row a query with a watermark column: the greatest value of the rows that were loaded.';
comment on column source_watermarks.source_key is 'Digest of address, query and watermark column.';
comment on column source_watermarks.address is 'The address of the database, without a password.';
comment on column source_watermarks.watermark_type is 'Type of the value in Python: int, float, Decimal, str, date or datetime.';
comment on column source_watermarks.watermark is 'The value as a string.';
comment on column source_watermarks.reached_at is 'When it was reached.';

insert into source_watermarks by name
select
    regexp_extract(path, ' query ([0-9a-f]{12}) up to ', 1) as source_key,
    regexp_extract(path, '^(.*) query [0-9a-f]{12} up to ', 1) as address,
    regexp_extract(path, ' up to (\w+) ', 1) as watermark_type,
    regexp_extract(path, ' up to \w+ (.*)$', 1) as watermark,
    finished_at as reached_at
from ingest_files
where regexp_matches(path, ' query [0-9a-f]{12} up to \w+ ')
qualify row_number() over (partition by source_key order by finished_at desc) = 1;

update ingest_files
set path = regexp_extract(path, '^(.* query [0-9a-f]{12}) up to ', 1)
where regexp_matches(path, ' query [0-9a-f]{12} up to \w+ ');
