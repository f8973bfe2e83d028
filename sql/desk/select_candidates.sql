-- Tweets worth a label, by three ways of choosing; `random` is a fixed random order, so that what is reviewed is a random sample.
(
    select 'unsure' as queue, tweet_id, abs(probability_positive - 0.5) as place
    from tweets
    where probability_positive is not null
    order by place, position
    limit $count
)
union all
(
    select 'wrong_label', tweet_id, -abs(probability_positive - 0.5) as place
    from tweets
    where source_label in ('negative', 'positive') and (probability_positive >= 0.5) != (source_label = 'positive')
    order by place, position
    limit $count
)
union all
(
    select 'random', tweet_id, hash(tweet_id) / 18446744073709551616.0 as place
    from tweets
    where label is not null
    order by place
    limit $count
)
order by queue, place;
