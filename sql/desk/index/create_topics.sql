-- Words in enough tweets to be compared, with their number of tweets by day and label.
create table topics as
select word_id, word, count_tweets
from words
where count_tweets >= $least_tweets and length(word) > 1
order by word_id;
create table topic_days as
select
    postings.word_id,
    tweets.day,
    count(*)::integer as count_tweets,
    count(*) filter (where tweets.label = 'negative')::integer as count_negative,
    count(*) filter (where tweets.label = 'positive')::integer as count_positive
from postings
join topics on topics.word_id = postings.word_id
join tweets on tweets.position = postings.position
where tweets.day is not null
group by all
order by postings.word_id, tweets.day;
