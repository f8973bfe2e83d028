-- Is every tweet scored? By model version, and which one people see.
select
    predictions.model_version,
    count(*) as count_scored,
    (select count(*) from tweets) - count(*) as count_missing,
    max(scored_at) as last_scored_at,
    predictions.model_version in (select model_version from published_model) as is_published
from predictions
group by predictions.model_version
order by predictions.model_version desc;
