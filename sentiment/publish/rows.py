"""Writes rows to a table of another database: by COPY to PostgreSQL, by plain inserts elsewhere.

COPY takes text with tabs, in which backslashes, tabs and line breaks are escaped; polars writes it for whole columns at
once, at a tenth of the cost of going through Python row by row.
"""

from __future__ import annotations

import polars as pl
from sqlalchemy import Connection, Table, insert

from sentiment.warehouse.session import read_sql

INSERT_ROWS = 5_000


def write_rows(connection: Connection, table: Table, rows: pl.DataFrame) -> None:
    """Append rows to a table, within the connection's transaction.

    Args:
        rows: columns by name; the table may have others.
    """
    if rows.is_empty():
        return
    if connection.dialect.name == "postgresql" and connection.dialect.driver == "psycopg":
        _copy(connection, table, rows)
        return
    for part in rows.iter_slices(INSERT_ROWS):
        connection.execute(insert(table), part.to_dicts())


def _copy(connection: Connection, table: Table, rows: pl.DataFrame) -> None:
    from psycopg import sql

    identifiers = [name for name in (table.schema, table.name) if name]
    statement = sql.SQL(read_sql("steps/publish/copy_into_postgresql")).format(
        table=sql.Identifier(*identifiers), columns=sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    )
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(copy_text(rows))


def copy_text(rows: pl.DataFrame) -> bytes:
    """Rows in the text format of PostgreSQL's COPY."""
    texts = rows.select(_as_text(name, kind) for name, kind in rows.schema.items())
    written = texts.write_csv(
        include_header=False,
        separator="\t",
        quote_style="never",
        null_value=r"\N",
        datetime_format="%Y-%m-%dT%H:%M:%S%.6f%:z",
    )
    return written.encode()


def _as_text(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind == pl.Binary:
        return pl.concat_str(pl.lit(r"\\x"), column.bin.encode("hex")).alias(name)
    if kind != pl.String:
        return column
    return column.str.replace_many(["\\", "\t", "\n", "\r"], ["\\\\", "\\t", "\\n", "\\r"])
