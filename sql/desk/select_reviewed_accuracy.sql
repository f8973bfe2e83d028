-- How often the published version agrees with people on tweets that were drawn at random. A tweet that the version may have
-- learnt its label from, reviewed before it was registered and not held out, is left out; neutral ones as well.
with
published as (
    select published_model.model_version, max(model_versions.registered_at) as registered_at
    from published_model
    left join model_versions on model_versions.model_version = published_model.model_version
    group by all
),
labelled as (
    select reviews.tweet_id, reviews.label, reviews.reviewed_at
    from reviews
    where queue = 'random' and label in ('negative', 'positive')
    qualify row_number() over (partition by tweet_id order by reviewed_at desc) = 1
),
compared as (
    select (predictions.probability_positive >= 0.5) = (labelled.label = 'positive') as is_right
    from labelled
    join published on true
    join tweets on tweets.tweet_id = labelled.tweet_id
    join predictions on predictions.tweet_id = labelled.tweet_id and predictions.model_version = published.model_version
    where tweets.split = 'holdout' or labelled.reviewed_at > coalesce(published.registered_at, '-infinity'::timestamptz)
),
counted as (
    select count(*) as count_reviewed, count(*) filter (where is_right) as count_right, 3.8415 as z2 from compared
),
shares as (
    select *, count_right / nullif(count_reviewed, 0) as accuracy from counted
)
select
    count_reviewed,
    count_right,
    accuracy,
    (
        accuracy + z2 / (2 * count_reviewed)
        - sqrt(z2 * (accuracy * (1 - accuracy) + z2 / (4 * count_reviewed)) / count_reviewed)
    ) / (1 + z2 / count_reviewed) as lower,
    (
        accuracy + z2 / (2 * count_reviewed)
        + sqrt(z2 * (accuracy * (1 - accuracy) + z2 / (4 * count_reviewed)) / count_reviewed)
    ) / (1 + z2 / count_reviewed) as upper
from shares;
