-- How often each word stands under each label; all mentions are one word, and so are all links.
create temp table profiled_words as
with
words as (
    select
        class,
        unnest(regexp_extract_all(lower(text), 'https?://\S+|www\.\S+|[@#]?[\p{L}\p{N}_]+(?:[''’]\p{L}+)*')) as word
    from profiled
)
select
    class,
    case
        when starts_with(word, '@') then '(a mention)'
        when starts_with(word, 'http://') or starts_with(word, 'https://') or starts_with(word, 'www.') then '(a link)'
        else word
    end as word,
    count(*) as count_words
from words
group by all;
