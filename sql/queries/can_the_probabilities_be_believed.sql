-- Can the probabilities be believed? On hold-out tweets: of those with a predicted 80 %, 80 % should be positive.
select
    least(floor(probability_positive::double * 10), 9) / 10 as from_probability,
    count(*) as count_tweets,
    avg(probability_positive) as mean_probability,
    avg((source_label = 'positive')::integer) as share_positive
from scored_tweets
where source_label in ('negative', 'positive')
    and tweet_id in (select tweet_id from tweets where split = 'holdout')
group by from_probability
order by from_probability;
