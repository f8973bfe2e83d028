"""The DuckDB warehouse and the snapshot that people read. The only package that opens DuckDB."""
