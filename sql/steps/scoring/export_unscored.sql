copy (
    select tweet_id, text, strlen(text)::bigint as count_text_bytes
    from tweets
    where ($since::timestamptz is null or posted_at >= $since)
    and ($until::timestamptz is null or posted_at < $until)
        and tweet_id not in (select tweet_id from predictions where model_version = $model_version)
) to $path (format parquet, compression zstd, row_group_size 51200);
