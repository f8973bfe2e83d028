select
    day,
    count_tweets,
    count_positive,
    share_positive,
    mean_probability_positive,
    count_neutral,
    estimated_share_positive,
    estimated_share_lower,
    estimated_share_upper
from daily_sentiment
order by day;
