-- How the published version's probabilities of each day are spread, in steps of a twentieth, and how sure and how positive it is.
select
    make_timestamp(epoch_us(posted_at))::date as day,
    least(floor(probability_positive * 20), 19)::integer::varchar as cell,
    count(*) as count,
    sum(greatest(probability_positive, 1 - probability_positive)) as sum_confidence,
    sum(probability_positive) as sum_probability
from scored_tweets
where posted_at >= $first and posted_at < $until
group by all;
