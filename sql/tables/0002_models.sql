-- Models, what the gate decided on them, what they predicted, and what the runs cost.

create table model_versions (
    model_version integer not null,
    run_id varchar not null,
    training_key varchar not null,
    count_train_rows bigint not null,
    count_fed_rows bigint not null,
    subset_rule varchar not null,
    data_digest varchar not null,
    subset_digest varchar not null,
    holdout_digest varchar not null,
    gold_digest varchar not null,
    seed bigint not null,
    config json not null,
    train_seconds double not null,
    train_peak_mb double not null,
    registered_at timestamptz not null
);
comment on table model_versions is 'One row a registered model version.';
comment on column model_versions.model_version is 'Its number in the MLflow registry.';
comment on column model_versions.run_id is 'The MLflow run that trained it.';
comment on column model_versions.training_key is 'Digest of subset, config and seed: equal keys give equal weights, so a version is reused.';
comment on column model_versions.count_train_rows is 'Rows of the training subset.';
comment on column model_versions.count_fed_rows is 'Rows that training really saw, the part kept for early stopping included.';
comment on column model_versions.subset_rule is 'How the subset was chosen, in words.';
comment on column model_versions.data_digest is 'Digest of the whole training split at that moment.';
comment on column model_versions.subset_digest is 'Digest of the rows of the subset.';
comment on column model_versions.holdout_digest is 'Digest of the hold-out at that moment.';
comment on column model_versions.gold_digest is 'Digest of the hand-labelled sets at that moment.';
comment on column model_versions.seed is 'Seed of the training run.';
comment on column model_versions.config is 'Training configuration.';
comment on column model_versions.train_seconds is 'Seconds of training, features included.';
comment on column model_versions.train_peak_mb is 'Peak memory of the training process in MiB.';
comment on column model_versions.registered_at is 'When it was registered.';

create table learning_curve (
    model_version integer not null,
    evaluated_at timestamptz not null,
    count_train_rows bigint not null,
    evaluation_set varchar not null,
    count_rows bigint not null,
    accuracy double not null,
    lower double not null,
    upper double not null,
    log_loss double not null,
    calibration_error double not null,
    train_seconds double not null
);
comment on table learning_curve is 'One row a model version and evaluation set, at the moment it was trained.';
comment on column learning_curve.model_version is 'The model version.';
comment on column learning_curve.evaluated_at is 'When.';
comment on column learning_curve.count_train_rows is 'Rows of its training subset: the rung.';
comment on column learning_curve.evaluation_set is 'holdout, or gold:<name>.';
comment on column learning_curve.count_rows is 'Rows it was evaluated on.';
comment on column learning_curve.accuracy is 'Share of right predictions.';
comment on column learning_curve.lower is 'Lower end of the 95 % Wilson interval of accuracy.';
comment on column learning_curve.upper is 'Upper end of the 95 % Wilson interval of accuracy.';
comment on column learning_curve.log_loss is 'Mean negative log likelihood, in nats.';
comment on column learning_curve.calibration_error is 'Expected calibration error over up to 15 equally filled bins, less what chance alone would show.';
comment on column learning_curve.train_seconds is 'Seconds of training.';

create table decisions (
    decision_key varchar not null,
    decided_at timestamptz not null,
    model_version integer not null,
    champion_version integer,
    check_name varchar not null,
    champion_value double,
    challenger_value double,
    lower double,
    upper double,
    threshold double,
    passed boolean not null,
    reason varchar not null
);
comment on table decisions is 'One row a check of the gate, model version and decision.';
comment on column decisions.decision_key is 'Digest of challenger, champion, evaluation sets and thresholds: one decision each.';
comment on column decisions.decided_at is 'When the gate decided.';
comment on column decisions.model_version is 'The challenger.';
comment on column decisions.champion_version is 'The champion it faced; null for the first model.';
comment on column decisions.check_name is 'The check.';
comment on column decisions.champion_value is 'What the check measured on the champion.';
comment on column decisions.challenger_value is 'What the check measured on the challenger.';
comment on column decisions.lower is 'Lower end of the interval that the check looked at.';
comment on column decisions.upper is 'Upper end of that interval.';
comment on column decisions.threshold is 'What the value, or the interval, had to reach.';
comment on column decisions.passed is 'Whether it passed.';
comment on column decisions.reason is 'Why, in a sentence.';

create table alias_history (
    alias varchar not null,
    model_version integer not null,
    from_version integer,
    changed_at timestamptz not null,
    change varchar not null check (change in ('promotion', 'rollback', 'outside')),
    changed_by varchar not null,
    reason varchar not null
);
comment on table alias_history is 'One row a change of an alias in the registry: who was champion when, and why.';
comment on column alias_history.alias is 'The alias, e.g. champion.';
comment on column alias_history.model_version is 'The version it points to from then on.';
comment on column alias_history.from_version is 'The version it pointed to before; null for the first.';
comment on column alias_history.changed_at is 'When it was changed or, when changed outside, noticed.';
comment on column alias_history.change is 'promotion, rollback, or outside: moved in MLflow itself.';
comment on column alias_history.changed_by is 'gate, mlflow, or the name of a person.';
comment on column alias_history.reason is 'Why, in a sentence.';

create table predictions (
    tweet_id bigint not null,
    model_version integer not null,
    probability_positive float not null,
    label varchar not null check (label in ('negative', 'positive')),
    scored_at timestamptz not null,
    run_id varchar not null
);
comment on table predictions is 'One row a tweet and model version.';
comment on column predictions.tweet_id is 'The tweet.';
comment on column predictions.model_version is 'The version that scored it.';
comment on column predictions.probability_positive is 'Probability that the tweet is positive, 0 to 1.';
comment on column predictions.label is 'positive from 0.5 on, else negative.';
comment on column predictions.scored_at is 'When.';
comment on column predictions.run_id is 'The run (runs.run_id) that scored it.';

create table published_model (
    model_version integer not null,
    published_at timestamptz not null
);
comment on table published_model is 'At most one row: the version whose predictions scored_tweets shows.';
comment on column published_model.model_version is 'The version; it had scored every tweet when it was put here.';
comment on column published_model.published_at is 'When it was put here.';

create table corrections (
    tweet_id bigint not null,
    label varchar not null check (label in ('negative', 'neutral', 'positive')),
    corrected_by varchar not null,
    corrected_at timestamptz not null
);
comment on table corrections is 'One row a label that a person gave a tweet later; the newest counts.';
comment on column corrections.tweet_id is 'The tweet.';
comment on column corrections.label is 'negative, neutral or positive.';
comment on column corrections.corrected_by is 'Who.';
comment on column corrections.corrected_at is 'When.';

create table monitoring (
    day date not null,
    measure varchar not null,
    value double,
    lower double,
    upper double,
    threshold double,
    is_alarm boolean not null,
    measured_at timestamptz not null
);
comment on table monitoring is 'One row a day and measure.';
comment on column monitoring.day is 'Day of the tweets, in UTC.';
comment on column monitoring.measure is 'What is measured.';
comment on column monitoring.value is 'The value.';
comment on column monitoring.lower is 'Lower end of its 95 % interval.';
comment on column monitoring.upper is 'Upper end of its 95 % interval.';
comment on column monitoring.threshold is 'From where on it is an alarm.';
comment on column monitoring.is_alarm is 'Whether it is one.';
comment on column monitoring.measured_at is 'When it was measured.';

create table runs (
    run_id varchar not null,
    flow varchar not null,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    seconds double not null,
    count_rows bigint not null,
    rows_per_second double,
    peak_memory_mb double not null,
    outcome varchar not null
);
comment on table runs is 'One row a finished flow run that did its work.';
comment on column runs.run_id is 'Its id in Prefect.';
comment on column runs.flow is 'ingest, retrain, score or monitor.';
comment on column runs.started_at is 'When it began.';
comment on column runs.finished_at is 'When it ended.';
comment on column runs.seconds is 'How long it took.';
comment on column runs.count_rows is 'Rows it worked on: lines read, rows trained on, tweets scored.';
comment on column runs.rows_per_second is 'Rows a second.';
comment on column runs.peak_memory_mb is 'Peak memory of its process in MiB.';
comment on column runs.outcome is 'What came of it, in a sentence.';
