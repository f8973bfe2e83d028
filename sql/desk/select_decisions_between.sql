-- The newest decision on a challenger against a champion, one row a check.
select *
from decisions
where model_version = $challenger and champion_version = $champion
qualify decided_at = max(decided_at) over ();
