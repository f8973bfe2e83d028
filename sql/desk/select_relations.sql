-- Tables and views of a snapshot; a view with its definition.
select table_name as name, null::varchar as sql
from duckdb_tables()
where database_name = current_database() and schema_name = 'main'
union all
select view_name, sql
from duckdb_views()
where database_name = current_database() and schema_name = 'main' and not internal;
