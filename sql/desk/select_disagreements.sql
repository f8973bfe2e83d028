-- Tweets that the published version and the newest other one label differently, the furthest apart first.
with
published as (
    select predictions.tweet_id, predictions.label, predictions.probability_positive
    from predictions
    where model_version = (select model_version from published_model)
),
other as (
    select tweet_id, label, probability_positive
    from predictions
    where model_version = (
        select max(model_version) from predictions where model_version != (select model_version from published_model)
    )
)
select published.tweet_id
from published
join other on other.tweet_id = published.tweet_id
where other.label != published.label
order by abs(other.probability_positive - published.probability_positive) desc, published.tweet_id
limit $count;
