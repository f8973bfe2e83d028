-- How the published version does on tweets that people labelled from `$since` on, neutral ones left out.
select
    count(*) as count_corrections,
    count(*) filter (where (predictions.probability_positive >= 0.5) = (newest_corrections.label = 'positive')) as count_right
from newest_corrections
join predictions on predictions.tweet_id = newest_corrections.tweet_id
join published_model on published_model.model_version = predictions.model_version
where newest_corrections.label != 'neutral' and newest_corrections.corrected_at between $since and $now;
