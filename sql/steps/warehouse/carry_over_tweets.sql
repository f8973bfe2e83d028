-- Tweets that changed, with all predictions of them. The bounds let whole row groups be skipped, where ids grow with time.
delete from draft.main.tweets
where tweet_id between $least and $greatest and tweet_id in (select tweet_id from changed);
insert into draft.main.tweets by name
from source.main.tweets where change_number > $last_number;
delete from draft.main.predictions
where tweet_id between $least and $greatest and tweet_id in (select tweet_id from changed);
insert into draft.main.predictions by name
from source.main.predictions
where tweet_id between $least and $greatest and tweet_id in (select tweet_id from changed);
