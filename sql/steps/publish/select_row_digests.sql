-- What each row of a relation with one row a tweet holds, as a number.
select tweet_id, hash(*columns(*)) as digest
from query_table($relation);
