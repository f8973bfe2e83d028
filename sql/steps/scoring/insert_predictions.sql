-- The predictions of one shard. A tweet that was scored, forgotten or changed since the shard was written is left out: the
-- next run scores what has changed.
insert into predictions by name
select
    incoming.tweet_id,
    $model_version as model_version,
    incoming.probability_positive,
    incoming.probability_neutral,
    incoming.label,
    $scored_at as scored_at,
    $run_id as run_id
from incoming
join tweets
    on tweets.tweet_id = incoming.tweet_id
    and tweets.change_number = incoming.change_number
    and tweets.change_number >= $first_number
    and tweets.change_number < $end_number
anti join predictions
    on predictions.tweet_id = incoming.tweet_id
    and predictions.model_version = $model_version
    and predictions.tweet_id between $least and $greatest;
