-- Weighted log-odds with an informative Dirichlet prior: Monroe, Colaresi and Quinn (2008), "Fightin' Words", equations 16,
-- 20 and 22. The prior is the frequency in both classes together, worth $prior_words words or, of few tweets, a tenth of
-- theirs, so that rare words do not lead.
with
counted as (
    select
        word,
        coalesce(sum(count_words) filter (class = 'negative'), 0)::double as count_negative,
        coalesce(sum(count_words) filter (class = 'positive'), 0)::double as count_positive
    from profiled_words
    where class in ('negative', 'positive')
    group by word
),
total as (
    select
        sum(count_negative) as count_negative,
        sum(count_positive) as count_positive,
        least($prior_words, (sum(count_negative) + sum(count_positive)) / 10) as prior_words
    from counted
),
weighted as (
    select
        word,
        counted.count_negative,
        counted.count_positive,
        prior_words * (counted.count_negative + counted.count_positive) / (total.count_negative + total.count_positive) as prior,
        ln((counted.count_positive + prior) / (total.count_positive + prior_words - counted.count_positive - prior))
        - ln((counted.count_negative + prior) / (total.count_negative + prior_words - counted.count_negative - prior)) as log_odds,
        log_odds / sqrt(1 / (counted.count_positive + prior) + 1 / (counted.count_negative + prior)) as z
    from counted, total
    where total.count_negative > 0 and total.count_positive > 0
),
telling as (
    select *, if(z > 0, 'positive', 'negative') as label
    from weighted
    -- Beyond chance, two-sided 1 %, before any correction for the number of words.
    where abs(z) > 2.576
    qualify row_number() over (partition by label order by abs(z) desc, word) <= $count_words
),
long as (
    unpivot telling
    on z, log_odds, count_negative, count_positive
    into name measure value value
)
select word as item, label, measure, value
from long
order by label, max(if(measure = 'z', abs(value), 0)) over (partition by label, word) desc, word, measure;
