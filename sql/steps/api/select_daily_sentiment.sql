select day, count_tweets, count_positive, share_positive, mean_probability_positive
from daily_sentiment
order by day;
