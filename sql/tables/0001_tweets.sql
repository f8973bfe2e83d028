-- Tweets as they came in, and an account of every line that did.
-- No primary keys: DuckDB keeps their index in memory and nearly doubles the file. One writer at a time, anti-joins inside
-- its transaction and sql/checks/ keep the grain instead. The compression of strings is what DuckDB chooses for 1.6 million
-- real tweets anyway; trying out every other one would make loading them a tenth slower.

comment on table schema_migrations is 'One row a migration of sql/tables/ that was applied.';
comment on column schema_migrations.number is 'Its number.';
comment on column schema_migrations.name is 'Its file name without the ending.';
comment on column schema_migrations.applied_at is 'When it was applied.';
comment on table view_state is 'One row: which state of sql/views/ was applied.';
comment on column view_state.digest is 'SHA-256 of the files.';

create table ingest_files (
    file_id varchar not null,
    path varchar not null,
    gold_set varchar,
    is_labelled_by_emoticon boolean not null,
    continues_file_id varchar,
    count_bytes bigint not null,
    count_disk_bytes bigint not null,
    modified_at timestamptz not null,
    count_lines bigint not null,
    count_loaded bigint not null,
    count_duplicate bigint not null,
    count_rejected bigint not null,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    check (count_lines = count_loaded + count_duplicate + count_rejected)
);
comment on table ingest_files is 'One row a file that was read: by content, and by how it was read (gold set, emoticon labels).';
comment on column ingest_files.file_id is 'SHA-256 of the content, after decompression.';
comment on column ingest_files.path is 'Where the file lay when it was read.';
comment on column ingest_files.gold_set is 'Name of the hand-labelled set it was loaded into; null for ordinary tweets.';
comment on column ingest_files.is_labelled_by_emoticon is 'Whether unlabelled tweets were labelled by their emoticons.';
comment on column ingest_files.continues_file_id is 'The shorter content of the same path that this one begins with; only the rest was read.';
comment on column ingest_files.count_bytes is 'Size of the content in bytes, after decompression.';
comment on column ingest_files.count_disk_bytes is 'Size of the file on disk in bytes.';
comment on column ingest_files.modified_at is 'When the file was last changed on disk.';
comment on column ingest_files.count_lines is 'Lines (in Parquet: rows) that were read: loaded + duplicate + rejected, always.';
comment on column ingest_files.count_loaded is 'Lines that became a new row.';
comment on column ingest_files.count_duplicate is 'Lines whose tweet was there already.';
comment on column ingest_files.count_rejected is 'Lines kept in rejected_rows.';
comment on column ingest_files.started_at is 'When reading began.';
comment on column ingest_files.finished_at is 'When the rows were committed.';

create table tweets (
    tweet_id bigint not null,
    posted_at timestamptz,
    user_name varchar using compression fsst,
    query varchar using compression dictionary,
    text varchar using compression fsst not null,
    raw_text blob using compression fsst,
    label varchar using compression dictionary check (label in ('negative', 'neutral', 'positive')),
    label_source varchar using compression dictionary check (label_source in ('file', 'emoticon', 'correction')),
    has_label_conflict boolean not null,
    text_key bigint not null,
    split varchar using compression dictionary not null check (split in ('train', 'holdout')),
    file_id varchar using compression dictionary not null,
    ingested_at timestamptz not null
);
comment on table tweets is 'One row a tweet.';
comment on column tweets.tweet_id is 'The id that its source gave it.';
comment on column tweets.posted_at is 'When it was posted; null when the source does not say.';
comment on column tweets.user_name is 'Who posted it; null when the source does not say.';
comment on column tweets.query is 'The search that found it, as its source names it.';
comment on column tweets.text is 'The text: decoded, HTML entities resolved, a labelling emoticon removed.';
comment on column tweets.raw_text is 'The bytes as they came, only where they differ from text.';
comment on column tweets.label is 'negative, neutral or positive as its sources say; null when unlabelled or when they disagree.';
comment on column tweets.label_source is 'Where the label comes from: file, emoticon or correction.';
comment on column tweets.has_label_conflict is 'Whether sources ever disagreed on the label; such a tweet trains nothing.';
comment on column tweets.text_key is 'Identity of the normalised text: near-duplicates share it.';
comment on column tweets.split is 'train or holdout, by text_key; never changes.';
comment on column tweets.file_id is 'The file that brought it first.';
comment on column tweets.ingested_at is 'When it was first loaded.';

create table unfinished_files (
    file_id varchar not null,
    ingested_at timestamptz not null
);
comment on table unfinished_files is 'At most one row: the file that is being loaded. What a killed run left of it is removed by the next.';
comment on column unfinished_files.file_id is 'The file.';
comment on column unfinished_files.ingested_at is 'What its rows carry as ingested_at.';

create table rejected_rows (
    file_id varchar not null,
    line_number bigint not null,
    reason varchar not null,
    raw_line blob not null,
    count_bytes bigint not null
);
comment on table rejected_rows is 'One row a line that could not be loaded.';
comment on column rejected_rows.file_id is 'The file it came in.';
comment on column rejected_rows.line_number is 'Its number in the file, from 1, as an editor shows it.';
comment on column rejected_rows.reason is 'Why: the first rule it breaks.';
comment on column rejected_rows.raw_line is 'Its bytes as they came, up to the first MiB.';
comment on column rejected_rows.count_bytes is 'Its whole length in bytes.';

create table gold_tweets (
    gold_set varchar not null,
    tweet_id bigint,
    posted_at timestamptz,
    user_name varchar,
    query varchar,
    text varchar not null,
    raw_text blob,
    label varchar not null check (label in ('negative', 'neutral', 'positive')),
    text_key bigint not null,
    file_id varchar not null,
    ingested_at timestamptz not null
);
comment on table gold_tweets is 'One row a hand-labelled tweet and set; neither it nor any tweet with its text_key ever trains.';
comment on column gold_tweets.gold_set is 'Name of the set.';
comment on column gold_tweets.tweet_id is 'Its id, where the set has one.';
comment on column gold_tweets.posted_at is 'When it was posted; null when the source does not say.';
comment on column gold_tweets.user_name is 'Who posted it; null when the source does not say.';
comment on column gold_tweets.query is 'The search that found it.';
comment on column gold_tweets.text is 'The text: decoded, HTML entities resolved.';
comment on column gold_tweets.raw_text is 'The bytes as they came, only where they differ from text.';
comment on column gold_tweets.label is 'negative, neutral or positive, by a person.';
comment on column gold_tweets.text_key is 'Identity of the normalised text.';
comment on column gold_tweets.file_id is 'The file it came in.';
comment on column gold_tweets.ingested_at is 'When it was loaded.';
