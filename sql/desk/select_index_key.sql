-- What an index depends on: a new tweet, label, published version or score rebuilds it; a correction does not.
select
    coalesce((select max(model_version) from published_model), 0) as model_version,
    count(*) as count_tweets,
    bit_xor(hash(tweet_id, label, posted_at, file_id)) as tweets_digest,
    (
        select bit_xor(hash(tweet_id, probability_positive))
        from predictions
        where model_version = (select model_version from published_model)
    ) as predictions_digest
from tweets;
