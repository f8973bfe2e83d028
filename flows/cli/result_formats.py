"""Writes the answer to a query: a table for people; CSV, Parquet or JSON for programs, to standard output or a file.

All but the table are written batch by batch, so an answer may be larger than the memory. A file gets its name when it is
complete. Times are ISO 8601, bytes are shown as text with what does not decode as \\x…, a null is nothing in CSV, lists and
maps are JSON. JSON has no infinite numbers and no endless digits: they are texts there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.cli.terminal import json_text, notes, out, paged, plain, print_table
from sentiment.errors import HomeError, InputError
from sentiment.model.atomic import atomic_write
from sentiment.warehouse.query import as_text

SHOWN_ROWS = 200
MOST_LINES = 3


class Form(StrEnum):
    """Formats of an answer."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


_ENDINGS = {".csv": Form.CSV, ".parquet": Form.PARQUET, ".json": Form.JSON}


def choose_form(form: Form | None, output: Path | None, as_json: bool) -> Form:
    """The format that options and the file's ending ask for.

    Raises:
        InputError: they contradict each other, or a table is to go into a file.
    """
    if as_json and form not in (None, Form.JSON):
        raise InputError(f"Expected --json or --format {form}, found both.")
    chosen = Form.JSON if as_json else form or (_ENDINGS.get(output.suffix.lower()) if output else Form.TABLE)
    if chosen is None or (output and chosen is Form.TABLE):
        raise InputError(f"{output} says no format. Name it .csv, .parquet or .json, or add --format csv.")
    if chosen is Form.PARQUET and output is None and sys.stdout.isatty():
        raise InputError("Parquet is no text for a terminal. Give it a file: --output answer.parquet")
    return chosen


def write_answer(batches: pa.RecordBatchReader, form: Form, output: Path | None) -> None:
    """Write an answer to a file or to standard output.

    Raises:
        HomeError: the file cannot be written.
    """
    if form is Form.TABLE:
        _show(batches)
        return
    with _target(output) as target:
        if form is Form.PARQUET:
            with pq.ParquetWriter(target, batches.schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)
        elif form is Form.CSV:
            _write_csv(batches, target)
        else:
            _write_json(batches, target)


def _rows(batches: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        yield from zip(*map(_values, batch.columns), strict=True)


def _values(column: pa.Array) -> list[Any]:
    """A column as values of Python; as text where Python has no such date, or no such key of a dictionary."""
    try:
        return column.to_pylist(maps_as_pydicts="strict")
    except (OverflowError, ValueError, TypeError):
        return as_text(column).to_pylist()


def _show(batches: pa.RecordBatchReader) -> None:
    rows = _rows(batches)
    shown = list(islice(rows, SHOWN_ROWS))
    with paged():
        print_table("", batches.schema.names, shown, most_lines=MOST_LINES if out.is_terminal else None)
    if more := sum(1 for _ in rows):
        notes.print(
            f"The first {SHOWN_ROWS} of {SHOWN_ROWS + more:,} rows. All of them: --output answer.csv", markup=False
        )
    elif not shown:
        notes.print("No rows.", markup=False)


def _write_csv(batches: pa.RecordBatchReader, target: IO[bytes]) -> None:
    names = batches.schema.names
    pl.DataFrame(schema=dict.fromkeys(names, pl.String)).write_csv(target)
    for batch in batches:
        columns = [_writable(column).alias(name) for name, column in zip(names, batch.columns, strict=True)]
        pl.DataFrame(columns).write_csv(target, include_header=False)


def _writable(column: pa.Array) -> pl.Series:
    """A column that CSV can hold: unchanged, or as text."""
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return pl.Series([None if value is None else _text(value) for value in _values(column)], dtype=pl.String)
    if not pa.types.is_date(kind) and not pa.types.is_timestamp(kind):
        return pl.Series(column)
    if not _is_in_calendar(column):
        return pl.Series(as_text(column))
    if pa.types.is_date(kind):
        return pl.Series(column)
    return pl.Series(column).dt.to_string("%Y-%m-%dT%H:%M:%S%.f" + ("%:z" if kind.tz else ""))


def _is_in_calendar(column: pa.Array) -> bool:
    """Whether all dates are in the years 1 to 9999, which Python can represent."""
    kind = column.type
    if pa.types.is_date(kind):
        first, last = date.min, date.max
    elif kind.unit == "ns":
        return True  # It has room for the years 1677 to 2262.
    else:
        first, last = datetime.min, datetime.max
        column = column.cast(pa.timestamp(kind.unit))
    is_out = pc.or_(pc.less(column, pa.scalar(first, column.type)), pc.greater(column, pa.scalar(last, column.type)))
    return not pc.any(is_out).as_py()


def _text(value: Any) -> str:
    return str(plain(value)) if isinstance(value, bytes | str) else json_text(value)


def _write_json(batches: pa.RecordBatchReader, target: IO[bytes]) -> None:
    names = batches.schema.names
    start = "[\n"
    for row in _rows(batches):
        target.write(f"{start}  {json_text(dict(zip(names, row, strict=True)))}".encode())
        start = ",\n"
    target.write(b"\n]\n" if start != "[\n" else b"[]\n")


@contextmanager
def _target(output: Path | None) -> Iterator[IO[bytes]]:
    if output is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        return
    try:
        with atomic_write(output) as draft, draft.open("wb") as file:
            yield file
    except OSError as error:
        raise HomeError(f"{output} cannot be written: {error.strerror}. Name another file with --output.") from error
