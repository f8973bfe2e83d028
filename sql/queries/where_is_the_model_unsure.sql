-- Where is the model unsure? Tweets next to a probability of one half: the ones worth a label by hand.
select tweet_id, posted_at, probability_positive, source_label, text
from scored_tweets
order by abs(probability_positive - 0.5), tweet_id
limit 50;
