-- Staged lines of the file being read: repeated ids, and rejected lines.
create or replace temp table repeated_lines (
    line_number bigint,
    tweet_id bigint,
    source varchar,
    source_id varchar,
    posted_at timestamptz,
    user_name varchar,
    query varchar,
    text varchar,
    raw_text blob,
    label varchar,
    label_source varchar,
    has_label_conflict boolean,
    text_key bigint,
    raw_line blob,
    count_bytes bigint
);
create or replace temp table rejected_lines (
    line_number bigint,
    reason varchar,
    raw_line blob,
    count_bytes bigint
);
