-- What was repaired at ingest, and what is still odd in the text. raw_text is there only where bytes and text differ.
with
repaired as (
    select
        count(*) as count_changed,
        -- The cast writes bytes beyond ASCII as \xE2: an entity stays readable in it.
        count(*) filter (regexp_matches(raw_text::varchar, '&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});')) as count_entities,
        count(*) filter (try(decode(raw_text)) is null) as count_not_utf8,
        count(*) filter (label_source = 'emoticon') as count_emoticon
    from tweets
    where raw_text is not null
),
odd as (
    select
        count(*) as count_tweets,
        count(*) filter (strlen(text) != length(text)) as count_not_ascii,
        count(*) filter (regexp_matches(text, '[\x00-\x1f\x7f]')) as count_control,
        count(*) filter (strlen(text) != length(text) and regexp_matches(text, '\x{FFFD}')) as count_replacement,
        count(*) filter (strlen(text) != length(text) and regexp_matches(text, 'Ã[\x{80}-\x{BF}]|â€|Â[\x{A0}-\x{BF}]')) as count_mojibake
    from tweets
),
long as (
    select 0 as position, 'text differs from its bytes' as item, count_changed as value from repaired
    union all
    select 1, 'HTML entities, resolved', count_entities from repaired
    union all
    select 2, 'bytes that are not UTF-8, read as windows-1252', count_not_utf8 from repaired
    union all
    select 3, 'emoticon taken out as the label', count_emoticon from repaired
    union all
    select 4, 'characters beyond ASCII', count_not_ascii from odd
    union all
    select 5, 'control characters', count_control from odd
    union all
    select 6, 'replacement characters: lost before they came', count_replacement from odd
    union all
    select 7, 'looks decoded twice (mojibake)', count_mojibake from odd
)
select item, null::varchar as label, measure, value
from (
    select position, item, 'count_tweets' as measure, value::double as value from long
    union all
    select position, item, 'share_tweets', value / count_tweets from long, odd
)
order by position, measure;
