-- All rows that may train, in subset order. Row groups are what the trainer reads at a time. What a person says of a tweet
-- counts before what its sources say, and settles their conflict.
copy (
    with
    gold_keys as (
        select distinct text_key from gold_tweets
    ),
    labelled as (
        select
            tweets.tweet_id,
            tweets.text_key,
            tweets.text,
            coalesce(newest_corrections.label, tweets.label) as label,
            if(newest_corrections.label is null, tweets.label_source, 'correction') as label_source
        from tweets
        left join newest_corrections on newest_corrections.tweet_id = tweets.tweet_id
        where tweets.split = 'train' and (not tweets.has_label_conflict or newest_corrections.label is not null)
    ),
    trainable as (
        select tweet_id, text_key, text, (label = 'positive')::tinyint as label, label_source
        from labelled
        where label in ('negative', 'positive') and text_key not in (select text_key from gold_keys)
    ),
    ranked as (
        select
            *,
            (row_number() over (partition by label order by md5_number_lower(text_key::varchar), tweet_id) - 0.5)
            / count(*) over (partition by label) as position
        from trainable
    )
    select tweet_id, text_key, label, label_source, text
    from ranked
    order by position, label
) to $path (format parquet, compression zstd, row_group_size 51200);
