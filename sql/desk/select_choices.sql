-- Values that tweets can be filtered by, commonest first.
select kind, name, count_tweets from choices order by kind, count_tweets desc limit 200;
