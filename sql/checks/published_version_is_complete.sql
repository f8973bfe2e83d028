-- Tweets that were there when scored_tweets flipped to its version, and that this version has not scored. Expected: none
-- after `score`; a text that changed since is scored again by the next run.
-- Likely cause: a flip before the last chunk was committed, or predictions that were deleted.
select tweets.tweet_id, tweets.ingested_at, published_model.model_version, published_model.published_at
from tweets
join published_model on published_model.published_at >= tweets.ingested_at
where tweets.tweet_id not in (
    select tweet_id from predictions where model_version = (select model_version from published_model)
);
