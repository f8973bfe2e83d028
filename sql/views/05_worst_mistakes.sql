-- Grain: one row a tweet that the champion takes for the other side than its source, surest mistakes first.
create or replace view worst_mistakes as
select
    tweet_id,
    posted_at,
    text,
    source_label,
    label,
    probability_positive,
    abs(probability_positive - 0.5) * 2 as confidence
from scored_tweets
where source_label in ('negative', 'positive')
    and (probability_positive >= 0.5) != (source_label = 'positive')
    and tweet_id not in (select tweet_id from corrections)
order by confidence desc, tweet_id;
comment on view worst_mistakes is 'Tweets on which the champion and the source disagree, the surest first: mistakes of either, until a person says which (`sentiment correct`).';
comment on column worst_mistakes.tweet_id is 'The tweet.';
comment on column worst_mistakes.posted_at is 'When it was posted.';
comment on column worst_mistakes.text is 'The text.';
comment on column worst_mistakes.source_label is 'What its source says.';
comment on column worst_mistakes.label is 'What the champion says.';
comment on column worst_mistakes.probability_positive is 'Probability of positive, 0 to 1.';
comment on column worst_mistakes.confidence is 'How sure the champion is: 0 undecided, 1 certain.';
