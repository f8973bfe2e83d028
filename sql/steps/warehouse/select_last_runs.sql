select flow, started_at, seconds, count_rows as rows, peak_memory_mb, outcome
from runs
order by finished_at desc
limit 8;
