-- Posts of every network and of files without ids; how each file was read; what each file says of a tweet that several speak of.

alter table tweets add column source varchar;
alter table tweets add column source_id varchar;
comment on column tweets.tweet_id is 'A tweet''s own id; from 2^62 on, a stable hash: of source and source_id or, where a file has no ids, of the content.';
comment on column tweets.source is 'Whose id source_id is: the network, or the name of a source; null where tweet_id is a tweet''s own id.';
comment on column tweets.source_id is 'The id as its source gave it; null where tweet_id is that id, and where the source gives none.';

alter table gold_tweets add column source varchar;
alter table gold_tweets add column source_id varchar;
comment on column gold_tweets.source is 'Whose id source_id is, as in tweets.';
comment on column gold_tweets.source_id is 'The id as its source gave it, as in tweets.';

alter table ingest_files add column source varchar;
alter table ingest_files add column reading varchar;
alter table ingest_files add column reading_details varchar;
alter table ingest_files add column is_withdrawable boolean default false;
comment on column ingest_files.source is 'Name of the source by which it was read; null for none.';
comment on column ingest_files.reading is 'What was taken for what, in a sentence; null for files of earlier versions.';
comment on column ingest_files.reading_details is 'The same for programs, as JSON: columns by role, labels, times, ids, what was left out.';
comment on column ingest_files.is_withdrawable is 'Whether all that it says of tweets of other files is in repeated_tweets, so that it can be withdrawn.';

create table repeated_tweets (
    tweet_id bigint not null,
    file_id varchar not null,
    posted_at timestamptz,
    user_name varchar,
    query varchar,
    text varchar not null,
    raw_text blob,
    label varchar,
    label_source varchar,
    has_label_conflict boolean not null,
    text_key bigint not null,
    stated_at timestamptz not null
);
comment on table repeated_tweets is 'One row a tweet and file, for tweets of which several files speak: what each says. tweets holds what follows from all of them.';
comment on column repeated_tweets.tweet_id is 'The tweet.';
comment on column repeated_tweets.file_id is 'The file.';
comment on column repeated_tweets.posted_at is 'When it was posted, as this file says.';
comment on column repeated_tweets.user_name is 'Who posted it, as this file says.';
comment on column repeated_tweets.query is 'The search that found it, as this file says.';
comment on column repeated_tweets.text is 'The text, as this file has it.';
comment on column repeated_tweets.raw_text is 'The bytes as they came, only where they differ from text.';
comment on column repeated_tweets.label is 'The label, as this file says; null when it has none, or several.';
comment on column repeated_tweets.label_source is 'Where that label comes from: file or emoticon.';
comment on column repeated_tweets.has_label_conflict is 'Whether this file disagrees with itself.';
comment on column repeated_tweets.text_key is 'Identity of the normalised text.';
comment on column repeated_tweets.stated_at is 'When the file was loaded.';

create table withdrawn_files (
    file_id varchar not null,
    path varchar not null,
    gold_set varchar,
    reading varchar,
    count_lines bigint not null,
    count_loaded bigint not null,
    count_duplicate bigint not null,
    count_rejected bigint not null,
    count_kept bigint not null,
    ingested_at timestamptz not null,
    withdrawn_at timestamptz not null
);
comment on table withdrawn_files is 'One row a file that was taken out again with `sentiment withdraw`: its account as it was.';
comment on column withdrawn_files.file_id is 'SHA-256 of the content.';
comment on column withdrawn_files.path is 'Where the file lay when it was read.';
comment on column withdrawn_files.gold_set is 'Name of the hand-labelled set; null for ordinary tweets.';
comment on column withdrawn_files.reading is 'What was taken for what.';
comment on column withdrawn_files.count_lines is 'Lines that were read.';
comment on column withdrawn_files.count_loaded is 'Lines that had become a new row.';
comment on column withdrawn_files.count_duplicate is 'Lines whose tweet was there already.';
comment on column withdrawn_files.count_rejected is 'Lines that had been kept in rejected_rows.';
comment on column withdrawn_files.count_kept is 'Tweets that stayed, since other files have them too.';
comment on column withdrawn_files.ingested_at is 'When it was loaded.';
comment on column withdrawn_files.withdrawn_at is 'When it was withdrawn.';

create table files_to_read_again (
    file_id varchar not null,
    noticed_at timestamptz not null
);
comment on table files_to_read_again is 'One row a file of which rows were rejected because of a file that has been withdrawn: the next `sentiment ingest` reads it again.';
comment on column files_to_read_again.file_id is 'The file.';
comment on column files_to_read_again.noticed_at is 'When the other file was withdrawn.';
