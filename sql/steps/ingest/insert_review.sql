-- No review is earlier than the one before it of the same tweet, also where a clock was set back.
insert into reviews by name
select
    $tweet_id::bigint as tweet_id,
    $queue as queue,
    $label::varchar as label,
    $reviewed_by as reviewed_by,
    (
        select greatest($now, coalesce(max(reviewed_at) + interval 1 microsecond, $now))
        from reviews
        where tweet_id = $tweet_id
    ) as reviewed_at;
