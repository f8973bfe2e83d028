-- What was forgotten on request: enough to keep it out and to keep the account of each file, and nothing else of it.

create table forgotten (
    kind varchar not null check (kind in ('tweet', 'gold', 'user')),
    digest varchar,
    file_id varchar,
    forgotten_at timestamptz not null
);
comment on table forgotten is 'One row a tweet, hand-labelled tweet or user that was forgotten. A forgotten tweet or user that comes again in a file is rejected as forgotten, known by a digest that is keyed with a secret of this home (forget.key).';
comment on column forgotten.kind is 'tweet, gold (a row of gold_tweets) or user.';
comment on column forgotten.digest is 'BLAKE2b of the id or of the name in lower case, keyed with forget.key; null for a hand-labelled tweet without an id.';
comment on column forgotten.file_id is 'The file that had brought it, for the account of that file: loaded = kept + forgotten. Null for what was not there.';
comment on column forgotten.forgotten_at is 'When it was forgotten.';

create table learnt_from_forgotten (
    model_version integer not null,
    count_rows bigint not null,
    noticed_at timestamptz not null
);
comment on table learnt_from_forgotten is 'One row a model version and request: what it had been fed that is forgotten now. The rows are gone from its list of fed rows; its weights stay as they were.';
comment on column learnt_from_forgotten.model_version is 'The version.';
comment on column learnt_from_forgotten.count_rows is 'Rows it had been fed that were forgotten.';
comment on column learnt_from_forgotten.noticed_at is 'When.';

create table pruned_predictions (
    model_version integer not null,
    count_rows bigint not null,
    pruned_at timestamptz not null
);
comment on table pruned_predictions is 'One row a time that predictions of a version were deleted by housekeeping; those of corrected tweets stay.';
comment on column pruned_predictions.model_version is 'The version.';
comment on column pruned_predictions.count_rows is 'Predictions that were deleted.';
comment on column pruned_predictions.pruned_at is 'When.';
