-- Copies of a text, letter by letter and once normalised (lower case, without links, mentions and punctuation).
with
texts as (
    select
        hash(text) as text_hash,
        text_key,
        class
    from profiled
),
copies as (
    select 'same text' as item, count(*) as count_rows, count(distinct class) filter (class in ('negative', 'positive')) as count_labels
    from texts
    group by text_hash
    having count(*) > 1
    union all
    select 'same normalised text', count(*), count(distinct class) filter (class in ('negative', 'positive'))
    from texts
    group by text_key
    having count(*) > 1
),
kinds as (
    select unnest(['same text', 'same normalised text']) as item
),
measured as (
    select
        kinds.item,
        count(copies.item)::double as count_texts,
        coalesce(sum(count_rows - 1), 0)::double as count_extra_tweets,
        coalesce(max(count_rows), 0)::double as count_most_copies,
        count(*) filter (count_labels > 1)::double as count_texts_under_both_labels,
        coalesce(sum(count_rows) filter (count_labels > 1), 0)::double as count_tweets_under_both_labels
    from kinds
    left join copies on copies.item = kinds.item
    group by kinds.item
),
others as (
    select 'same id' as item, 'count_tweets_under_both_labels' as measure, count(*)::double as value
    from tweets
    where has_label_conflict
    union all
    select 'same as a hand-labelled tweet', 'count_tweets', count(*)::double
    from tweets
    where text_key in (select text_key from gold_tweets)
),
long as (
    unpivot measured
    on columns(* exclude (item))
    into name measure value value
)
select item, null::varchar as label, measure, value
from (select item, measure, value from long union all select item, measure, value from others)
order by item = 'same text' desc, item = 'same normalised text' desc, item;
