"""Answers a user's own query from the published snapshot.

Answers are Arrow, which lacks some of DuckDB's types or gets them wrong: durations, times of day (24:00, offsets), bit
strings, unions and integers beyond 128 bits signed. These are cast to text by DuckDB. Columns of the same name get a number, as
in a subquery: `label`, `label_1`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

from sentiment.errors import InputError
from sentiment.settings import Home
from sentiment.warehouse.connection import reader, scratch, tells_of_damage

_COME_AS_TEXT = {"interval", "time", "time with time zone", "time_ns", "bit", "uhugeint", "bignum", "union", "geometry"}


def query(home: Home, statement: str) -> pl.DataFrame:
    """Run a user's query on the snapshot; `answer` for results that may not fit into memory.

    Raises:
        InputError: the query is not valid; DuckDB's own explanation is in the message.
    """
    with answer(home, statement) as batches:
        return pl.DataFrame(batches.read_all())


@contextmanager
def answer(home: Home, statement: str, batch_rows: int = 50_000) -> Iterator[pa.RecordBatchReader]:
    """The answer to a user's query on the snapshot, batch by batch.

    Raises:
        InputError: the query is not valid, or fails on some row; while iterating as well.
    """
    with reader(home) as snapshot:
        try:
            result = snapshot.connection.sql(statement)
            if result is None:
                raise InputError(
                    "The query returns nothing. Expected a query such as: select * from scored_tweets limit 5"
                )
            columns = [
                duckdb.SQLExpression(f"#{number}").cast(_held_by_arrow(kind)).alias(name)
                for number, (name, kind) in enumerate(zip(distinct(result.columns), result.types, strict=True), start=1)
            ]
            batches = result.select(*columns).to_arrow_reader(batch_rows)
            yield pa.RecordBatchReader.from_batches(batches.schema, _checked(batches))
        except (duckdb.Error, pa.ArrowException) as error:
            if tells_of_damage(error):
                raise
            if isinstance(error, pa.ArrowException) and "checksum" in str(error):
                raise duckdb.IOException(str(error)) from error
            names = [name for _, name, _ in snapshot.run("steps/warehouse/select_relations").fetchall()]
            is_unknown = "Table with name" in str(error)
            tables = f"\nTables and views: {', '.join(names)}" if is_unknown else ""
            raise InputError(f"The query cannot be run: {error}{tables}") from error


def as_text(column: pa.Array) -> pa.Array:
    """A column cast to text by DuckDB, such as `infinity` for a date that Python does not have."""
    with scratch() as database:
        return database.load("steps/warehouse/select_as_text", pl.DataFrame({"value": column}))["value"].to_arrow()


def distinct(names: Sequence[str]) -> list[str]:
    """Number repeated names of columns: `label`, `label_1`."""
    taken = set(names)
    found: list[str] = []
    for name in names:
        free = name
        number = 0
        while free in found or (number and free in taken):
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found


def _held_by_arrow(kind: DuckDBPyType) -> DuckDBPyType:
    """The type itself, or text where no Arrow type holds every value; nested types included."""
    if kind.id in _COME_AS_TEXT:
        return duckdb.sqltype("varchar")
    if kind.id not in ("list", "array", "struct", "map"):
        return kind
    # The size of an array and the values of an enumeration are listed among the types.
    children: dict[str, Any] = dict(kind.children)
    if kind.id == "list":
        return duckdb.list_type(_held_by_arrow(children["child"]))
    if kind.id == "array":
        return duckdb.array_type(_held_by_arrow(children["child"]), children["size"])
    if kind.id == "map":
        return duckdb.map_type(_held_by_arrow(children["key"]), _held_by_arrow(children["value"]))
    return duckdb.struct_type({name: _held_by_arrow(child) for name, child in children.items()})


def _checked(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        # Whole numbers of more than 38 digits come as decimals that claim to have 38.
        batch.validate(full=True)
        yield batch
