-- Objects of a bucket that were read, so that those which have not changed are not fetched again.

create table read_objects (
    object_name varchar not null,
    gold_set varchar,
    is_labelled_by_emoticon boolean not null,
    count_bytes bigint not null,
    modified_at timestamptz not null,
    file_id varchar not null,
    read_at timestamptz not null
);
comment on table read_objects is 'One row an object of a bucket that was read: as long as size and time are the same, it is not fetched again.';
comment on column read_objects.object_name is 'Its address without options, such as s3://bucket/day=2026-11-01/posts.parquet.';
comment on column read_objects.gold_set is 'Name of the hand-labelled set it was loaded into; null for tweets.';
comment on column read_objects.is_labelled_by_emoticon is 'Whether it was read with labels from emoticons.';
comment on column read_objects.count_bytes is 'Its size when it was read.';
comment on column read_objects.modified_at is 'When it was last changed, by the clock of the store.';
comment on column read_objects.file_id is 'Its content (ingest_files.file_id); the account may be that of another object with the same content.';
comment on column read_objects.read_at is 'When it was read.';
