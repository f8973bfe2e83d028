-- The texts that stand most often, from 10 copies on; mentions are left out, so that nobody is named.
with
repeated as (
    select text_key, count(*) as count_tweets
    from tweets
    group by text_key
    having count(*) >= 10
    order by count_tweets desc, text_key
    limit $count_texts
),
shown as (
    select
        repeated.text_key,
        repeated.count_tweets,
        mode(left(trim(regexp_replace(profiled.text, '@\w+', '@…', 'g')), 120)) as item,
        count(*) filter (class = 'negative') as count_negative,
        count(*) filter (class = 'positive') as count_positive
    from repeated
    join profiled on profiled.text_key = repeated.text_key
    group by all
),
long as (
    select item, null::varchar as label, count_tweets as value, count_tweets, text_key from shown
    union all
    select item, 'negative', count_negative, count_tweets, text_key from shown
    union all
    select item, 'positive', count_positive, count_tweets, text_key from shown
)
select item, label, 'count_tweets' as measure, value::double as value
from long
order by count_tweets desc, text_key, label nulls first;
