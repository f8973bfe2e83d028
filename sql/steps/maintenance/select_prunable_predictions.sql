-- Versions whose predictions nobody needs: not kept by name, and nothing scored with them since $before. Those of corrected
-- tweets are not counted: they stay, since online_accuracy is made of them.
select model_version, count(*) as count_rows
from predictions
where model_version not in (select unnest($kept::integer[]))
    and model_version not in (select model_version from published_model)
    and tweet_id not in (select tweet_id from corrections)
group by model_version
having max(scored_at) < $before
order by model_version;
