select kind, name, comment
from (
    select 'table' as kind, table_name as name, comment from duckdb_tables() where comment is not null
    union all
    select 'view', view_name, comment from duckdb_views() where not internal
)
order by kind, name;
