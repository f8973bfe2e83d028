select
    (select count(*) from tweets) as tweets,
    (select count(*) from tweets where label in ('negative', 'positive') and not has_label_conflict) as labelled,
    (select count(*) from tweets where has_label_conflict) as label_conflicts,
    (select count(*) from gold_tweets) as gold_tweets,
    (select count(*) from rejected_rows) as rejected_rows,
    (select count(*) from ingest_files) as files,
    (select max(posted_at) from tweets) as newest_tweet,
    (select count(*) from scored_tweets) as scored_tweets;
