-- How often a topic was written about, by day.
select topic_days.day, topic_days.count_tweets, topic_days.count_negative, topic_days.count_positive, days.count_tweets as count_all
from topic_days
join days on days.day = topic_days.day
where word_id = (select word_id from topics where word = $word)
order by day;
