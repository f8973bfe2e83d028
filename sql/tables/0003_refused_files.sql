-- Files of the inbox that are no files of tweets: said once, and not tried again every quarter of an hour.

create table refused_files (
    path varchar not null,
    count_disk_bytes bigint not null,
    modified_at timestamptz not null,
    reason varchar not null,
    refused_at timestamptz not null
);
comment on table refused_files is 'One row a file of the inbox that could not be read; it is tried again when it changes, or by hand with `sentiment ingest`.';
comment on column refused_files.path is 'Where it lay.';
comment on column refused_files.count_disk_bytes is 'Its size on disk in bytes.';
comment on column refused_files.modified_at is 'When it was last changed on disk.';
comment on column refused_files.reason is 'What is wrong with it, in a sentence.';
comment on column refused_files.refused_at is 'When it was refused.';
