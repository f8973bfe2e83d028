-- Which words tell the classes apart? From the newest data profile (`sentiment profile`), most telling first.
select
    item as word,
    label,
    max(value) filter (measure = 'count_negative')::bigint as count_negative,
    max(value) filter (measure = 'count_positive')::bigint as count_positive,
    max(value) filter (measure = 'log_odds') as log_odds,
    max(value) filter (measure = 'z') as z
from profile_figures
where section = 'telling_words'
group by item, label
order by abs(z) desc;
