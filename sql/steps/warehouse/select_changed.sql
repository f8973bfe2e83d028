-- Tweets with a range of change numbers, kept as `changed`: how many, and their least and greatest id.
create or replace temp table changed as
select tweet_id
from source.main.tweets
where change_number >= $first_number and ($end_number::bigint is null or change_number < $end_number);
select count(*), min(tweet_id), max(tweet_id) from changed;
