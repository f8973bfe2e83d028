with
counted as (
    select word, sum(count_words) as count_words, row_number() over (order by sum(count_words) desc, word) as rank
    from profiled_words
    group by word
),
total as (
    select
        sum(count_words) as count_words,
        count(*) as count_distinct_words,
        count(*) filter (count_words = 1) as count_words_seen_once
    from counted
),
covered as (
    select sizes.size, sum(counted.count_words) as count_words
    from (select unnest([100, 1000, 10000, 100000]) as size) as sizes
    join counted on counted.rank <= sizes.size
    group by sizes.size
),
long as (
    select 0 as position, 'all words' as item, 'count_words' as measure, count_words::double as value from total
    union all
    select 1, 'different words', 'count_words', count_distinct_words from total
    union all
    select 2, 'words seen once', 'count_words', count_words_seen_once from total
    union all
    select covered.size, 'the ' || format('{:,}', covered.size) || ' most frequent', 'share_of_all_words', covered.count_words / total.count_words
    from covered, total
)
select item, null::varchar as label, measure, value
from long
where value is not null
order by position;
