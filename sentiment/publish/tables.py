"""The published tables as another database has them, from the snapshot's own catalogue: a schema is written once.

`tweets` and `predictions` stay at home: what people read of them is `scored_tweets`.
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

STAYS_AT_HOME = {"tweets", "predictions", "schema_migrations", "view_state", "unfinished_files"}
BY_TWEET = ("scored_tweets", "worst_mistakes", "label_flips")
"""Relations with one row a tweet: what changed of them is found and sent row by row, the others go whole."""
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
    """What was published to a target last, and what is on its way there."""
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
    """A table beside `table` in which changed rows gather until all are there; nothing in it is published."""
    columns = [Column(column.name, column.type, autoincrement=False) for column in table.columns]
    return Table(
        f"staging_{table.name}",
        MetaData(schema=table.schema),
        *columns,
        Column("is_removed", Boolean, nullable=False),
        # Emptied by a crash of the server, which then starts the upload anew; twice as fast to write.
        prefixes=["UNLOGGED"] if is_postgresql else [],
    )
