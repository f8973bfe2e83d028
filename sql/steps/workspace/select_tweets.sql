-- Tweets with the published prediction, newest first; a parameter that is null selects everything.
select scored_tweets.*
from scored_tweets
where ($contains::varchar is null or contains(lower(text), lower($contains::varchar)))
    and ($since::timestamptz is null or posted_at >= $since::timestamptz)
    and ($until::timestamptz is null or posted_at < $until::timestamptz)
    and ($user::varchar is null or lower(user_name) = lower($user::varchar))
    and ($label::varchar is null or label = $label::varchar)
order by posted_at desc nulls last, tweet_id desc
limit $most;
