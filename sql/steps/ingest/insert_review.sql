insert into reviews by name
select
    $tweet_id::bigint as tweet_id,
    $queue as queue,
    $label::varchar as label,
    $reviewed_by as reviewed_by,
    $now as reviewed_at;
