select tweet_id, label, corrected_by, corrected_at from newest_corrections where tweet_id in (select unnest($tweet_ids));
