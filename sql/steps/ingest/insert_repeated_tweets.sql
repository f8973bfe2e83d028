-- What two files or more say of a tweet: the statement of the file being read, in place of an earlier one of the same file, and that
-- of the first one where it is not there yet.
delete from repeated_tweets
using incoming
where repeated_tweets.tweet_id = incoming.tweet_id and repeated_tweets.file_id = incoming.file_id and not incoming.is_first;
insert into repeated_tweets by name
select * exclude (is_first)
from incoming
where not is_first or tweet_id not in (select tweet_id from repeated_tweets);
