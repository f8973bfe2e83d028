-- How the published version's probabilities of each day are spread, in steps of a twentieth, and how sure and how positive it
-- is. Of tweets alone that it cannot have learnt from: it is surer of those that it has, and new days would look like drift.
with
published as (
    select
        published_model.model_version,
        coalesce(max(model_versions.registered_at), '-infinity'::timestamptz) as registered_at
    from published_model
    left join model_versions using (model_version)
    group by all
)
select
    make_timestamp(epoch_us(posted_at))::date as day,
    least(floor(probability_positive * 20), 19)::integer::varchar as cell,
    count(*) as count,
    sum(greatest(probability_positive, 1 - probability_positive)) as sum_confidence,
    sum(probability_positive) as sum_probability
from tweets
join predictions using (tweet_id)
join published using (model_version)
where posted_at >= $first and posted_at < $until
    and (tweets.label is null or split = 'holdout' or ingested_at > registered_at)
group by all;
