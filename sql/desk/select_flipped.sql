-- The tweets on which two versions are furthest apart; held-out ones alone, of which neither has seen the label.
select
    tweets.tweet_id,
    tweets.posted_at,
    tweets.user_name,
    tweets.text,
    tweets.label as source_label,
    old.probability_positive as champion_probability,
    new.probability_positive as challenger_probability
from tweets
join predictions as old on old.tweet_id = tweets.tweet_id and old.model_version = $champion
join predictions as new on new.tweet_id = tweets.tweet_id and new.model_version = $challenger
where tweets.split = 'holdout' and new.label != old.label
order by abs(new.probability_positive - old.probability_positive) desc, tweets.tweet_id
limit 10;
