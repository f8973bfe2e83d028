select distinct tweet_id from reviews
union
select tweet_id from newest_corrections;
