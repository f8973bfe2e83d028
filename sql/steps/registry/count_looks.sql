-- Comparisons with a champion in the last year, each once: looks at nearly the same hold-out add up.
select count(distinct decision_key)
from decisions
where check_name = 'better'
    and decision_key != $decision_key
    and decided_at > $now - interval 365 days;
