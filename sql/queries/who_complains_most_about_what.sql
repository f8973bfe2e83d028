-- Who complains most about what? Hashtags by predicted negative tweets, with the user who wrote most of them.
with
tagged as (
    select user_name, label, unnest(list_distinct(regexp_extract_all(lower(text), '#\w+'))) as hashtag
    from scored_tweets
    where contains(text, '#')
),
by_user as (
    select hashtag, user_name, count(*) as count_tweets, count(*) filter (label = 'negative') as count_negative
    from tagged
    group by all
)
select
    hashtag,
    sum(count_tweets)::bigint as count_tweets,
    sum(count_negative)::bigint as count_negative,
    sum(count_negative) / sum(count_tweets)::bigint as share_negative,
    arg_max(user_name, count_negative) as user_name,
    max(count_negative) as count_negative_of_user
from by_user
group by hashtag
having sum(count_negative) > 0
order by count_negative desc, hashtag
limit 50;
