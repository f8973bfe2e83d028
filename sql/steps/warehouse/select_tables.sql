-- Tables of the warehouse; tweets and predictions are carried over row by row.
select table_name
from duckdb_tables()
where database_name = 'source' and schema_name = 'main' and table_name not in ('tweets', 'predictions')
order by table_name;
