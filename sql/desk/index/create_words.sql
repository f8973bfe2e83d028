create table words as
select
    row_number() over (order by count(*) desc, word)::integer as word_id,
    word,
    count(*)::integer as count_tweets
from tokens
group by word
order by word;
