-- Which tweets did people correct, and would the champion be right by now?
select
    corrections.corrected_at,
    corrections.corrected_by,
    corrections.tweet_id,
    corrections.label as corrected_label,
    scored_tweets.label,
    scored_tweets.probability_positive,
    scored_tweets.source_label,
    scored_tweets.text
from corrections
join scored_tweets on scored_tweets.tweet_id = corrections.tweet_id
qualify row_number() over (partition by corrections.tweet_id order by corrections.corrected_at desc, corrections.corrected_by) = 1
order by corrections.corrected_at desc, corrections.tweet_id;
