-- Ids of `incoming` that are there already. The bounds let whole row groups be skipped where ids grow with time.
select tweet_id
from tweets
where tweet_id between $least and $greatest and tweet_id in (select tweet_id from incoming);
