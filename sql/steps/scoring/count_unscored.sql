-- Tweets that a version has not scored; ids alone are read.
select count(*)
from tweets
where ($since::timestamptz is null or posted_at >= $since)
    and ($until::timestamptz is null or posted_at < $until)
    and tweet_id not in (select tweet_id from predictions where model_version = $model_version);
