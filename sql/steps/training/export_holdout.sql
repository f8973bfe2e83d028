-- One row a text key: copies of a tweet must not count twice in a paired comparison. Where a person labelled one of them,
-- the newest such label speaks for the text, and a text that is neutral evaluates nothing.
copy (
    with
    gold_keys as (
        select distinct text_key from gold_tweets
    ),
    labelled as (
        select
            tweets.tweet_id,
            tweets.text_key,
            coalesce(newest_corrections.label, tweets.label) as label,
            if(newest_corrections.label is null, tweets.label_source, 'correction') as label_source,
            newest_corrections.corrected_at,
            tweets.posted_at,
            tweets.text
        from tweets
        left join newest_corrections on newest_corrections.tweet_id = tweets.tweet_id
        where tweets.split = 'holdout' and (not tweets.has_label_conflict or newest_corrections.label is not null)
    ),
    spoken_for as (
        select *
        from labelled
        where (corrected_at is not null or label in ('negative', 'positive'))
            and text_key not in (select text_key from gold_keys)
        qualify row_number() over (partition by text_key order by corrected_at desc nulls last, tweet_id) = 1
    )
    select tweet_id, text_key, (label = 'positive')::tinyint as label, label_source, posted_at, text
    from spoken_for
    where label != 'neutral'
    order by tweet_id
) to $path (format parquet, compression zstd);
