-- Hand-labelled tweets of three labels: what the rule for neutral is fitted on, and what judges it. Hand-labelled are gold sets,
-- corrections, and files that hold neutral labels, which no emoticon gives. One row a text key.
copy (
    with
    files as (
        select distinct file_id from tweets where label = 'neutral'
    ),
    sets as (
        select distinct gold_set from gold_tweets where label = 'neutral'
    ),
    labelled as (
        select
            tweets.text_key,
            coalesce(newest_corrections.label, tweets.label) as label,
            tweets.split,
            tweets.text
        from tweets
        left join newest_corrections on newest_corrections.tweet_id = tweets.tweet_id
        where newest_corrections.label is not null
            or (
                tweets.label is not null
                and not tweets.has_label_conflict
                and tweets.label_source = 'file'
                and tweets.file_id in (select file_id from files)
            )
    ),
    together as (
        select 'gold' as source, gold_set as evaluation_set, text_key, label, text
        from gold_tweets
        where gold_set in (select gold_set from sets)
        union all
        select 'tweet', if(split = 'train', 'fit', 'holdout'), text_key, label, text
        from labelled
        where text_key not in (select text_key from gold_tweets)
    )
    select evaluation_set, text_key, ['negative', 'neutral', 'positive'].list_position(label)::tinyint - 1 as label, text
    from together
    qualify row_number() over (partition by source, evaluation_set, text_key order by label, text) = 1
    order by evaluation_set, text_key
) to $path (format parquet, compression zstd);
