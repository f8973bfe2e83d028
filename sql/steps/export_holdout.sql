-- One row a text key: copies of a tweet must not count twice in a paired comparison.
copy (
    with
    gold_keys as (
        select distinct text_key from gold_tweets
    ),
    evaluable as (
        select tweet_id, text_key, (label = 'positive')::tinyint as label, label_source, posted_at, text
        from tweets
        where split = 'holdout'
            and label in ('negative', 'positive')
            and not has_label_conflict
            and text_key not in (select text_key from gold_keys)
    )
    select *
    from evaluable
    qualify row_number() over (partition by text_key order by tweet_id) = 1
    order by tweet_id
) to $path (format parquet, compression zstd);
