-- Grain: one row a day (UTC) with tweets.
create table days as
select
    day,
    count(*) as count_tweets,
    count(label) as count_scored,
    count(*) filter (where label = 'positive') as count_positive,
    count(*) filter (where label = 'negative') as count_negative,
    sum(probability_positive) as sum_probability
from tweets
where day is not null
group by day
order by day;
create table choices as
select 'query' as kind, query as name, count(*) as count_tweets from tweets where query is not null group by query
union all
select 'source', source, count(*) from tweets where source is not null group by source;
