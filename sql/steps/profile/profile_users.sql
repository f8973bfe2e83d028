-- How much few people say; nobody is named.
with
counted as (
    select count(*) as count_tweets, row_number() over (order by count(*) desc) as rank, count(*) over () as count_users
    from tweets
    where user_name is not null
    group by user_name
),
measured as (
    select
        count(*)::double as count_users,
        sum(count_tweets)::double as count_tweets,
        max(count_tweets)::double as count_tweets_of_busiest,
        (sum(count_tweets) filter (rank <= greatest(1, count_users / 100)) / sum(count_tweets))::double as share_of_busiest_percent
    from counted
)
select 'users' as item, null::varchar as label, measure, value
from (unpivot measured on columns(*) into name measure value value);
