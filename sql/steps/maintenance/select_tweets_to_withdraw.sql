-- Tweets that only the files in `incoming` have.
select tweet_id
from tweets
where file_id in (select file_id from incoming)
    and tweet_id not in (select tweet_id from repeated_tweets where file_id not in (select file_id from incoming));
