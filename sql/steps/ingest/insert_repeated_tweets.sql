-- What two files or more say of a tweet: the statement of the file being read, and that of the first one where it is not there yet.
insert into repeated_tweets by name
select * exclude (is_first)
from incoming
where not is_first or tweet_id not in (select tweet_id from repeated_tweets);
