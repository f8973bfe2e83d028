-- Every table that holds a tweet; `incoming` holds the ids, and the texts of hand-labelled tweets without one.
delete from predictions where tweet_id in (select tweet_id from incoming where tweet_id is not null);
delete from corrections where tweet_id in (select tweet_id from incoming where tweet_id is not null);
delete from reviews where tweet_id in (select tweet_id from incoming where tweet_id is not null);
delete from gold_tweets
where tweet_id in (select tweet_id from incoming where tweet_id is not null)
    or (tweet_id is null and user_name is null and text in (select text from incoming where kind = 'gold'))
    or user_key(user_name) in (select user_name from incoming where kind = 'user');
delete from repeated_tweets where tweet_id in (select tweet_id from incoming where tweet_id is not null);
delete from tweets where tweet_id in (select tweet_id from incoming where tweet_id is not null);
delete from decision_losses
where tweet_id in (select tweet_id from incoming where tweet_id is not null)
    or (
        text_key is not null
        and not exists (
            select 1
            from gold_tweets
            where gold_tweets.gold_set = decision_losses.found_in and gold_tweets.text_key = decision_losses.text_key
        )
    );
-- Its page shows texts that stand often; the next profile makes these figures again.
delete from profile_figures where section = 'repeated_texts';
