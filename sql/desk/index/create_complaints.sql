-- Grain: one row a hashtag or mention that is the subject of negative tweets, with who wrote most of them.
create table complaints as
with
marked as (
    select word_id, word from topics where word[1] in ('#', '@')
),
by_user as (
    select
        marked.word,
        tweets.user_name,
        count(*) as count_tweets,
        count(*) filter (where tweets.label = 'negative') as count_negative
    from marked
    join postings on postings.word_id = marked.word_id
    join tweets on tweets.position = postings.position
    group by all
)
select
    word,
    sum(count_tweets)::integer as count_tweets,
    sum(count_negative)::integer as count_negative,
    first(user_name order by count_negative desc, user_name) filter (where user_name is not null) as user_name,
    max(count_negative)::integer as count_negative_of_user
from by_user
group by word
having sum(count_negative) > 0
order by count_negative desc, word;
