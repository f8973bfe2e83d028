-- Files of the last days that were refused and have not been loaded since, the newest reason of each.
select path, max(refused_at) as refused_at, arg_max(reason, refused_at) as reason
from refused_files
where refused_at > $now - interval 7 day
    and not exists (
        select 1
        from ingest_files
        where ingest_files.path = refused_files.path and ingest_files.finished_at > refused_files.refused_at
    )
group by path
order by refused_at desc
limit 8;
