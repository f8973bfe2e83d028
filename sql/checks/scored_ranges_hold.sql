-- Tweets that the ledger takes for scored, without a prediction. Expected: none.
-- Likely cause: predictions that were deleted without the ledger's rows, or a tweet that changed and kept its number.
select scored_ranges.model_version, tweets.tweet_id, tweets.change_number
from scored_ranges
join tweets
    on tweets.change_number >= scored_ranges.first_number and tweets.change_number < scored_ranges.end_number
anti join predictions
    on predictions.tweet_id = tweets.tweet_id and predictions.model_version = scored_ranges.model_version;
