-- Grain: one row a tweet that a newer version labels differently from the published one.
create or replace view label_flips as
with
newest as (
    select max(model_version) as model_version from predictions
),
before as (
    select predictions.*
    from predictions
    join published_model on published_model.model_version = predictions.model_version
)
select
    tweets.tweet_id,
    tweets.posted_at,
    tweets.text,
    tweets.label as source_label,
    before.model_version as from_version,
    after.model_version,
    before.label as from_label,
    after.label,
    before.probability_positive as from_probability_positive,
    after.probability_positive
from before
join predictions as after on after.tweet_id = before.tweet_id and after.label != before.label
join newest on newest.model_version = after.model_version
join tweets on tweets.tweet_id = after.tweet_id;
comment on view label_flips is 'Tweets whose label changes from the published version to the newest one that has scored them.';
comment on column label_flips.tweet_id is 'The tweet.';
comment on column label_flips.posted_at is 'When it was posted.';
comment on column label_flips.text is 'The text.';
comment on column label_flips.source_label is 'Label of its sources; null when unlabelled or when they disagree.';
comment on column label_flips.from_version is 'The published version.';
comment on column label_flips.model_version is 'The newest version with predictions.';
comment on column label_flips.from_label is 'Predicted by the published version.';
comment on column label_flips.label is 'Predicted by the newest version.';
comment on column label_flips.from_probability_positive is 'Probability of positive by the published version.';
comment on column label_flips.probability_positive is 'Probability of positive by the newest version.';
