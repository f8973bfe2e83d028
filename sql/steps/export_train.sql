-- All rows that may train, in subset order. Row groups are what the trainer reads at a time.
copy (
    with
    gold_keys as (
        select distinct text_key from gold_tweets
    ),
    trainable as (
        select tweet_id, text_key, text, (label = 'positive')::tinyint as label
        from tweets
        where split = 'train'
            and label in ('negative', 'positive')
            and not has_label_conflict
            and text_key not in (select text_key from gold_keys)
    ),
    ranked as (
        select
            *,
            (row_number() over (partition by label order by md5_number_lower(text_key::varchar), tweet_id) - 0.5)
            / count(*) over (partition by label) as position
        from trainable
    )
    select tweet_id, text_key, label, text
    from ranked
    order by position, label
) to $path (format parquet, compression zstd, row_group_size 51200);
