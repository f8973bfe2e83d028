-- The rows of the tweets in `incoming`, by id, from behind the one where an earlier run was cut off.
select source.*
from query_table($relation) as source
join incoming on incoming.tweet_id = source.tweet_id
where source.tweet_id > $after
order by source.tweet_id;
