-- Labels become negative, neutral or positive. Predictions that are there keep what they say; DuckDB changes a check only by a
-- new table.

create table predictions_of_three_labels (
    tweet_id bigint not null,
    model_version integer not null,
    probability_positive float not null,
    label varchar not null check (label in ('negative', 'neutral', 'positive')),
    scored_at timestamptz not null,
    run_id varchar not null,
    probability_neutral float
);
insert into predictions_of_three_labels by name select * from predictions;
drop table predictions;
alter table predictions_of_three_labels rename to predictions;
comment on table predictions is 'One row a tweet and model version.';
comment on column predictions.tweet_id is 'The tweet.';
comment on column predictions.model_version is 'The version that scored it.';
comment on column predictions.probability_positive is 'Probability that the tweet is positive rather than negative, 0 to 1.';
comment on column predictions.label is 'neutral from a probability_neutral of 0.5 on, else positive from a probability_positive of 0.5 on, else negative.';
comment on column predictions.scored_at is 'When.';
comment on column predictions.run_id is 'The run (runs.run_id) that scored it.';
comment on column predictions.probability_neutral is 'Probability that the tweet shows no mood, 0 to 1; null where it was scored with two labels.';

create table class_scores (
    model_version integer not null,
    evaluated_at timestamptz not null,
    count_rows_negative bigint not null,
    count_rows_positive bigint not null,
    mean_negative double not null,
    mean_positive double not null,
    variance_negative double not null,
    variance_positive double not null
);
comment on table class_scores is 'One row a version and evaluation on the hold-out: how its probabilities of positive are spread in each class, so that the true share of positive tweets in a group can be estimated. The newest counts.';
comment on column class_scores.model_version is 'The version.';
comment on column class_scores.evaluated_at is 'When.';
comment on column class_scores.count_rows_negative is 'Hold-out tweets that are negative.';
comment on column class_scores.count_rows_positive is 'Hold-out tweets that are positive.';
comment on column class_scores.mean_negative is 'Mean probability of positive of the negative ones.';
comment on column class_scores.mean_positive is 'Mean probability of positive of the positive ones.';
comment on column class_scores.variance_negative is 'Variance of the probability among the negative ones.';
comment on column class_scores.variance_positive is 'Variance of the probability among the positive ones.';
