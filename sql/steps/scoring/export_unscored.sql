-- A shard: the tweets of a range of change numbers that a version has not scored, in the order of these numbers.
copy (
    select tweets.tweet_id, tweets.change_number, tweets.text
    from tweets
    anti join predictions
        on predictions.tweet_id = tweets.tweet_id
        and predictions.model_version = $model_version
        and predictions.tweet_id between $least and $greatest
    where tweets.change_number >= $first_number
        and tweets.change_number < $end_number
        and ($since::timestamptz is null or tweets.posted_at >= $since)
        and ($until::timestamptz is null or tweets.posted_at < $until)
    order by tweets.change_number
) to $path (format parquet, compression $compression, row_group_size 51200);
