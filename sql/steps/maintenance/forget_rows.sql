-- Every table that holds a tweet; `incoming` holds the ids, and the texts of hand-labelled tweets without one.
delete from predictions where tweet_id in (select tweet_id from incoming where tweet_id is not null);
delete from corrections where tweet_id in (select tweet_id from incoming where tweet_id is not null);
delete from gold_tweets
where tweet_id in (select tweet_id from incoming where tweet_id is not null)
    or (tweet_id is null and user_name is null and text in (select text from incoming where kind = 'gold'))
    or lower(user_name) in (select user_name from incoming where kind = 'user');
delete from repeated_tweets where tweet_id in (select tweet_id from incoming where tweet_id is not null);
delete from tweets where tweet_id in (select tweet_id from incoming where tweet_id is not null);
-- Its page shows texts that stand often; the next profile makes these figures again.
delete from profile_figures where section = 'repeated_texts';
