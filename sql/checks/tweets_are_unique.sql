-- Tweets that stand more than once. Expected: none.
-- Likely cause: a tool other than this program wrote to the warehouse, or an insert without its anti-join.
select tweet_id, count(*) as count_rows
from tweets
group by tweet_id
having count(*) > 1;
