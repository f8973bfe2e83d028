select flow, started_at, seconds, count_rows, rows_per_second, peak_memory_mb, outcome from runs order by finished_at desc limit 25;
