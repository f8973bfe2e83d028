copy (
    select gold_set, text_key, (label = 'positive')::tinyint as label, text
    from gold_tweets
    where label in ('negative', 'positive')
    order by gold_set, text_key, text
) to $path (format parquet, compression zstd);
