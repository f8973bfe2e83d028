-- What people were shown in the review queue, and what they said.

create table reviews (
    tweet_id bigint not null,
    queue varchar not null check (queue in ('random', 'unsure', 'wrong_label', 'disagreement', 'chosen')),
    label varchar check (label in ('negative', 'neutral', 'positive')),
    reviewed_by varchar not null,
    reviewed_at timestamptz not null
);
comment on table reviews is 'One row a tweet that a person was shown in the review queue and labelled or skipped. The label itself counts through corrections; this table says how the tweet was chosen, so that random ones give an unbiased estimate.';
comment on column reviews.tweet_id is 'The tweet.';
comment on column reviews.queue is 'Why it was shown: random, unsure (probability near one half), wrong_label (the source says otherwise), disagreement (of two versions), or chosen by the person.';
comment on column reviews.label is 'What the person said; null when skipped.';
comment on column reviews.reviewed_by is 'Who.';
comment on column reviews.reviewed_at is 'When.';
