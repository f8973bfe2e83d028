-- A tweet that was scored, forgotten or changed since it was exported is left out.
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
join tweets on tweets.tweet_id = incoming.tweet_id and strlen(tweets.text) = incoming.count_text_bytes
where incoming.tweet_id not in (select tweet_id from predictions where model_version = $model_version);
