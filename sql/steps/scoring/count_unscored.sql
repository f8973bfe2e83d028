-- Tweets of a range of change numbers that a version has not scored.
select count(*)
from tweets
anti join predictions
    on predictions.tweet_id = tweets.tweet_id
    and predictions.model_version = $model_version
    and predictions.tweet_id between $least and $greatest
where tweets.change_number >= $first_number and tweets.change_number < $end_number;
