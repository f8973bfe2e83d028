-- Tweets that a model version scored more than once. Expected: none.
-- Likely cause: two scoring runs that did not take turns, or a chunk that was inserted without its anti-join.
select tweet_id, model_version, count(*) as count_rows
from predictions
group by tweet_id, model_version
having count(*) > 1;
