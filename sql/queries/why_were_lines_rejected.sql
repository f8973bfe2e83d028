-- Why were lines rejected? By file and reason, with the first line number as an example.
select ingest_files.path, rejected_rows.reason, count(*) as count_lines, min(line_number) as first_line_number
from rejected_rows
join ingest_files on ingest_files.file_id = rejected_rows.file_id
group by all
order by count_lines desc;
