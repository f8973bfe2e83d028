select tweet_id, text, text_key, label from gold_tweets where gold_set = $gold_set;
