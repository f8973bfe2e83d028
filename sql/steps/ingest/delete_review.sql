-- Takes back what a person said last of a tweet: the review, and the correction that came with it.
delete from corrections
where tweet_id = $tweet_id
    and corrected_by = $reviewed_by
    and corrected_at = (
        select max(corrected_at) from corrections where tweet_id = $tweet_id and corrected_by = $reviewed_by
    )
    and (select label is not null from reviews where tweet_id = $tweet_id and reviewed_by = $reviewed_by order by reviewed_at desc limit 1);
delete from reviews
where tweet_id = $tweet_id
    and reviewed_by = $reviewed_by
    and reviewed_at = (select max(reviewed_at) from reviews where tweet_id = $tweet_id and reviewed_by = $reviewed_by);
