-- Tweets with the label that a profile groups by.
create temp view profiled as
select
    *,
    case when has_label_conflict then 'conflicting' else coalesce(label, 'unlabelled') end as class
from tweets;
