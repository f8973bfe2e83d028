-- How positive is each topic? The true share of positive tweets by hashtag, with a 95 % interval, corrected for what the model gets
-- wrong. Put any other grouping into the first step.
with
scores as (
    select class_scores.*
    from class_scores
    join published_model on published_model.model_version = class_scores.model_version
    order by class_scores.evaluated_at desc
    limit 1
),
topics as (
    select unnest(list_distinct(regexp_extract_all(lower(text), '#\w+'))) as topic, probability_positive
    from scored_tweets
),
means as (
    select topic, count(*) as count_tweets, avg(probability_positive) as mean_probability_positive
    from topics
    group by topic
    having count(*) >= 100
),
estimated as (
    select means.*, scores, estimated_share(mean_probability_positive, scores) as share_positive
    from means
    cross join scores
),
bounded as (
    select *, half_width_of_share(share_positive, count_tweets, scores) as half_width
    from estimated
)
select
    topic,
    count_tweets,
    share_positive,
    greatest(share_positive - half_width, 0) as lower,
    least(share_positive + half_width, 1) as upper
from bounded
order by share_positive desc, topic;
