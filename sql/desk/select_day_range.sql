select min(day) as first, max(day) as last, count(*) as count_days, coalesce(sum(count_tweets), 0)::bigint as count_tweets from days;
