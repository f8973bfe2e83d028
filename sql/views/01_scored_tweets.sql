-- Grain: one row a tweet, with the champion's prediction.
create or replace view scored_tweets as
select
    tweets.tweet_id,
    tweets.posted_at,
    tweets.user_name,
    tweets.text,
    tweets.label as source_label,
    predictions.label,
    predictions.probability_positive,
    predictions.model_version,
    predictions.scored_at,
    predictions.probability_neutral
from tweets
join predictions on predictions.tweet_id = tweets.tweet_id
join published_model on published_model.model_version = predictions.model_version;
comment on view scored_tweets is 'The champion''s prediction of every tweet; flips to a new champion only when it has scored everything.';
comment on column scored_tweets.tweet_id is 'The tweet.';
comment on column scored_tweets.posted_at is 'When it was posted; null when the source does not say.';
comment on column scored_tweets.user_name is 'Who posted it; null when the source does not say.';
comment on column scored_tweets.text is 'The text.';
comment on column scored_tweets.source_label is 'negative, neutral or positive as its sources say; null when unlabelled or when they disagree.';
comment on column scored_tweets.label is 'Predicted: neutral from a probability_neutral of 0.5 on, else positive from a probability_positive of 0.5 on, else negative.';
comment on column scored_tweets.probability_positive is 'Probability that the tweet is positive rather than negative, 0 to 1.';
comment on column scored_tweets.model_version is 'The version that scored it: one for all rows.';
comment on column scored_tweets.scored_at is 'When it was scored.';
comment on column scored_tweets.probability_neutral is 'Probability that the tweet shows no mood, 0 to 1; null where it was scored with two labels.';
