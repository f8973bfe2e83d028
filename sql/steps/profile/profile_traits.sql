-- What tweets contain, by label. Plain searches come before patterns: they cost a tenth.
with
counted as (
    select
        class as label,
        count(*)::double as count_tweets,
        count(*) filter (contains(text, '@') and regexp_matches(text, '@\w'))::double as "mentions somebody",
        count(*) filter (starts_with(text, '@'))::double as "begins with a mention",
        count(*) filter (regexp_matches(text, '(?i)https?://|www\.'))::double as "holds a link",
        count(*) filter (contains(text, '#') and regexp_matches(text, '#\w'))::double as "holds a hashtag",
        count(*) filter (regexp_matches(text, '[:;=8][''-]?[)D\]pP]\B|<3|\^_?\^|\(:'))::double as "glad emoticon",
        count(*) filter (regexp_matches(text, '[:=][''-]?[(\[/|]\B|:''\('))::double as "sad emoticon",
        count(*) filter (regexp_matches(text, '[\x{2600}-\x{27BF}\x{1F300}-\x{1FAFF}]'))::double as "holds an emoji",
        count(*) filter (contains(text, '!'))::double as "exclamation mark",
        count(*) filter (contains(text, '?'))::double as "question mark",
        count(*) filter (contains(text, '..'))::double as "dots",
        count(*) filter (regexp_matches(text, '\b[A-Z]{3,}\b'))::double as "word in capitals",
        count(*) filter (regexp_matches(text, '(?i)\b(?:not|no|never|none|nobody|nothing|cannot|\w+n[''’]t|(?:ca|do|does|did|is|was|wo|would|could|should)nt)\b'))::double as "negation",
        count(*) filter (contains(text, 'RT') and regexp_matches(text, '\bRT\b'))::double as "retweet"
    from profiled
    group by class
),
long as (
    unpivot counted
    on columns(* exclude (label, count_tweets))
    into name item value value
)
select item, label, measure, value
from (
    select item, label, 'count_tweets' as measure, value from long
    union all
    select item, label, 'share_tweets', value / count_tweets from long
)
order by item, label, measure;
