"""Write `docs/tables.md` from the comments in the database itself: `python docs/generate.py`. A test compares the two."""

from __future__ import annotations

from pathlib import Path

from sentiment.markdown import table
from sentiment.warehouse.connection import scratch
from sentiment.warehouse.migrations import migrate

TARGET = Path(__file__).with_name("tables.md")
HEADER = """# Tables and views

Everything here is in the published snapshot, `published/sentiment.duckdb` in the home. Times are `timestamptz`. Each text
below is also a comment in the database: `select table_name, comment from duckdb_tables()`.
"""


def tables_markdown() -> str:
    """The reference, from an empty warehouse."""
    parts = [HEADER]
    with scratch() as database:
        migrate(database)
        for kind, name, comment in database.run("steps/warehouse/select_relations").fetchall():
            columns = database.run("steps/publish/select_columns", relation=name).fetchall()
            parts.append(f"## {name}\n\n{'View. ' if kind == 'view' else ''}{comment}\n")
            parts.append(table(["column", "type", "what it says"], columns) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(tables_markdown())
