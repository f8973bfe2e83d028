-- What refusals of the gate are about, text by text; accuracy is remembered by the hold-out it was measured on.

create table decision_losses (
    decision_key varchar not null,
    loss_number integer not null,
    check_name varchar not null,
    found_in varchar not null,
    expected varchar not null,
    tweet_id bigint,
    text_key bigint,
    case_text varchar,
    champion_probability double not null,
    challenger_probability double not null
);
comment on table decision_losses is 'Up to ten rows a failed check: what the champion has right and the challenger wrong, the surest first.';
comment on column decision_losses.decision_key is 'The decision.';
comment on column decision_losses.loss_number is 'Its number within the decision, from 1.';
comment on column decision_losses.check_name is 'The check: gold, slices, behaviour or neutral.';
comment on column decision_losses.found_in is 'Name of the hand-labelled set, of the slice or of the behaviour case.';
comment on column decision_losses.expected is 'The right answer, in words.';
comment on column decision_losses.tweet_id is 'A tweet of the hold-out; null for others.';
comment on column decision_losses.text_key is 'A tweet of a hand-labelled set; null for others.';
comment on column decision_losses.case_text is 'Text of a behaviour case; null for tweets, whose text is in tweets or gold_tweets.';
comment on column decision_losses.champion_probability is 'Probability of positive by the champion, 0 to 1.';
comment on column decision_losses.challenger_probability is 'Probability of positive by the challenger, 0 to 1.';

alter table learning_curve add column holdout_digest varchar;
comment on column learning_curve.holdout_digest is 'Digest of the hold-out it was evaluated on; a version is evaluated again when the hold-out has changed.';
update learning_curve
set holdout_digest = (
    select max(model_versions.holdout_digest) from model_versions where model_versions.model_version = learning_curve.model_version
);
