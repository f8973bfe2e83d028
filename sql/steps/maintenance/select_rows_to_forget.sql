-- Tweets and hand-labelled tweets of the ids and users in `incoming`; a hand-labelled one without either goes by its text. A tweet
-- is a user's if any of its files says so. What each file has of it comes as a `statement`, for its text.
with
found as (
    select 'tweet' as kind, tweet_id, user_name, text, raw_text, file_id from tweets
    union all
    select 'gold', tweet_id, user_name, text, raw_text, file_id from gold_tweets
),
asked_ids as (
    select tweet_id from incoming where tweet_id is not null
    union
    select tweet_id
    from repeated_tweets
    where user_key(user_name) in (select user_name from incoming where user_name is not null)
),
asked as (
    select *
    from found
    where tweet_id in (select tweet_id from asked_ids)
        or user_key(user_name) in (select user_name from incoming where user_name is not null)
)
select * from asked
union all
select *
from found
where kind = 'gold' and tweet_id is null and user_name is null and text in (select text from asked)
union all
select 'statement', tweet_id, user_name, text, raw_text, file_id
from repeated_tweets
where tweet_id in (select tweet_id from asked where tweet_id is not null);
