with
lengths as (
    select
        class,
        len(list_filter(string_split(text, ' '), lambda word: word != '')) as words,
        length(text) as characters
    from profiled
),
long as (
    select class, 'words' as item, words as length from lengths
    union all
    select class, 'characters', characters from lengths
),
measured as (
    select
        item,
        class as label,
        min(length)::double as minimum,
        quantile_disc(length, 0.5)::double as median,
        avg(length)::double as mean,
        quantile_disc(length, 0.95)::double as percentile_95,
        max(length)::double as maximum
    from long
    group by grouping sets ((item), (item, class))
)
select item, label, measure, value
from (unpivot measured on minimum, median, mean, percentile_95, maximum into name measure value value)
order by item desc, label nulls first;
