"""Answers a user's own query from the published snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import polars as pl
import pyarrow as pa

from sentiment.errors import InputError
from sentiment.settings import Home
from sentiment.warehouse.connection import reader


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
            result = snapshot.connection.execute(statement)
            if result is None or result.description is None:
                raise InputError(
                    "The query returns nothing. Expected a query such as: select * from scored_tweets limit 5"
                )
            yield result.to_arrow_reader(batch_rows)
        except (duckdb.Error, pa.ArrowException) as error:
            names = [name for _, name, _ in snapshot.run("steps/warehouse/select_relations").fetchall()]
            is_unknown = "Table with name" in str(error)
            tables = f"\nTables and views: {', '.join(names)}" if is_unknown else ""
            raise InputError(f"The query cannot be run: {error}{tables}") from error
