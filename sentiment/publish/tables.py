"""Derives the tables of another database from the snapshot's catalogue, so that a schema is written once.

`tweets` and `predictions` are not published: people read them as `scored_tweets`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from sentiment.warehouse.session import Warehouse

STAYS_AT_HOME = {"tweets", "predictions", "read_objects", "schema_migrations", "view_state", "unfinished_files"}
BY_TWEET = ("scored_tweets", "worst_mistakes", "label_flips")
"""Relations with one row a tweet: only changed rows are sent. The others are replaced as a whole."""
KEYS = {
    **dict.fromkeys(BY_TWEET, ("tweet_id",)),
    "daily_sentiment": ("day",),
    "decisions": ("decision_key", "check_name"),
    "model_versions": ("model_version",),
    "online_accuracy": ("model_version",),
    "profile_figures": ("section", "position"),
    "published_model": ("model_version",),
}
STATE = "sentiment_publication"
_TYPES: dict[str, TypeEngine[Any]] = {
    "bigint": BigInteger(),
    "blob": LargeBinary(),
    "boolean": Boolean(),
    "date": Date(),
    "double": Double(),
    "float": REAL(),
    "hugeint": Numeric(38, 0),
    "integer": Integer(),
    "json": Text().with_variant(JSONB(), "postgresql"),
    "smallint": SmallInteger(),
    "timestamp with time zone": DateTime(timezone=True),
    "timestamp": DateTime(),
    "tinyint": SmallInteger(),
    "varchar": Text(),
}


def published_tables(snapshot: Warehouse, schema: str | None) -> dict[str, Table]:
    """Every table and view that is published, by name."""
    metadata = MetaData(schema=schema)
    tables = {}
    for _, name, comment in snapshot.run("steps/warehouse/select_relations").fetchall():
        if name in STAYS_AT_HOME:
            continue
        columns = snapshot.run("steps/publish/select_columns", relation=name).fetchall()
        key = KEYS.get(name, ())
        tables[name] = Table(
            name,
            metadata,
            *(
                Column(column, _TYPES.get(kind, Text()), primary_key=column in key, autoincrement=False, comment=said)
                for column, kind, said in columns
            ),
            comment=comment,
        )
    return tables


def state_table(schema: str | None) -> Table:
    """What was last published to a target, and what is being sent."""
    return Table(
        STATE,
        MetaData(schema=schema),
        Column("kind", Text, primary_key=True, comment="published, or staged: on its way"),
        Column("publication", Text, nullable=False, comment="Name of the snapshot."),
        Column("base", Text, comment="Name of the snapshot whose rows were there before."),
        Column("changed_at", DateTime(timezone=True), nullable=False, comment="When this row was written."),
        comment="Up to two rows: which snapshot these tables show, and which is on its way. Written by `sentiment publish`.",
    )


def staging_table(table: Table, *, is_postgresql: bool) -> Table:
    """A staging table next to `table` for changed rows; nothing in it is published."""
    columns = [Column(column.name, column.type, autoincrement=False) for column in table.columns]
    return Table(
        f"staging_{table.name}",
        MetaData(schema=table.schema),
        *columns,
        Column("is_removed", Boolean, nullable=False),
        # Unlogged: twice as fast to write. A crash of the server empties it, and the upload starts again.
        prefixes=["UNLOGGED"] if is_postgresql else [],
    )
