-- In how many tweets of each day each of the `$most_words` commonest words stands; '' is all others. Of days with more than
-- `$most_tweets` tweets so many are read, chosen by a hash of their id.
with
of_days as (
    select
        make_timestamp(epoch_us(posted_at))::date as day,
        text,
        (md5_number_lower(tweet_id::varchar) % 1000000) * count(*) over (partition by day) as place
    from tweets
    where posted_at >= $first and posted_at < $until
),
words as (
    select day, unnest(list_distinct(regexp_extract_all(lower(text), '[\p{L}\p{N}'']+'))) as word
    from of_days
    where place < $most_tweets::hugeint * 1000000
),
counts as (
    select day, word, count(*) as count from words group by all
),
commonest as (
    select word from counts group by word order by sum(count) desc, word limit $most_words
)
select day, if(word in (from commonest), word, '') as cell, sum(count)::bigint as count
from counts
group by all;
