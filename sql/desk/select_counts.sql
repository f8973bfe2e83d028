select
    (select count(*) from tweets) as count_tweets,
    (select count(*) from tweets where label in ('negative', 'positive') and not has_label_conflict) as count_labelled,
    (select count(*) from newest_corrections) as count_corrected,
    (select count(*) from rejected_rows) as count_rejected,
    (select count(*) from ingest_files) as count_files,
    (select max(finished_at) from ingest_files) as last_ingested_at,
    (select max(posted_at) from tweets) as newest_tweet_at,
    (select published_at from published_model) as published_at;
