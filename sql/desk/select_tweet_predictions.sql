-- What each version says of a tweet, newest first.
select
    predictions.model_version,
    label,
    probability_positive,
    scored_at,
    predictions.model_version in (select model_version from published_model) as is_published
from predictions
where tweet_id = $tweet_id
order by model_version desc;
