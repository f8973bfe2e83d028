-- What the tweets look like as a whole: the figures behind the page of `sentiment profile`.

create table profile_figures (
    section varchar not null,
    position integer not null,
    item varchar not null,
    label varchar,
    measure varchar not null,
    value double,
    profiled_at timestamptz not null
);
comment on table profile_figures is 'One row a section, item, label and measure of the newest data profile.';
comment on column profile_figures.section is 'What is looked at: rows, columns, days, months, weekdays, hours, length, words_per_tweet, characters_per_tweet, duplicates, repeated_texts, traits, telling_words, vocabulary, users, encoding, label_noise.';
comment on column profile_figures.position is 'Order within the section, from 0.';
comment on column profile_figures.item is 'The row of the section: a day, a word, a column.';
comment on column profile_figures.label is 'Of tweets with this label alone: negative, neutral, positive, unlabelled or conflicting; null for all tweets.';
comment on column profile_figures.measure is 'What is measured: count_… is a number of something, share_… is 0 to 1.';
comment on column profile_figures.value is 'The value.';
comment on column profile_figures.profiled_at is 'When the tweets were looked at.';
