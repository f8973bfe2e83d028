-- What other files say of tweets of which the files in `incoming` speak, the first first.
select
    row_number() over (order by stated_at, file_id) as line_number,
    *
from repeated_tweets
where file_id not in (select file_id from incoming)
    and tweet_id in (select tweet_id from repeated_tweets where file_id in (select file_id from incoming));
