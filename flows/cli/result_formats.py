"""How the answer to a query is written: a table for people; CSV, Parquet or JSON for programs, to standard output or a file.

All but the table are written batch by batch, so an answer may be larger than the memory. A file takes its place once it is
whole. Times are ISO 8601, bytes are shown as text with what does not decode as \\x…, a null is nothing in CSV.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from flows.cli.terminal import notes, plain, print_table
from sentiment.errors import HomeError, InputError
from sentiment.model.atomic import atomic_write

SHOWN_ROWS = 200


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
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _show(batches: pa.RecordBatchReader) -> None:
    rows = _rows(batches)
    shown = list(islice(rows, SHOWN_ROWS))
    print_table("", batches.schema.names, shown)
    if more := sum(1 for _ in rows):
        notes.print(
            f"The first {SHOWN_ROWS} of {SHOWN_ROWS + more:,} rows. All of them: --output answer.csv", markup=False
        )
    elif not shown:
        notes.print("No rows.", markup=False)


def _write_csv(batches: pa.RecordBatchReader, target: IO[bytes]) -> None:
    pl.DataFrame(schema=dict.fromkeys(batches.schema.names, pl.String)).write_csv(target)
    for batch in batches:
        frame = pl.DataFrame(batch)
        odd = [name for name, kind in frame.schema.items() if kind == pl.Binary or kind.is_nested()]
        texts = [pl.Series(name, [None if v is None else _text(v) for v in frame[name]], pl.String) for name in odd]
        frame.with_columns(texts).write_csv(target, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.f%:z")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return str(plain(value))
    return json.dumps(value.to_list() if isinstance(value, pl.Series) else value, default=plain, ensure_ascii=False)


def _write_json(batches: pa.RecordBatchReader, target: IO[bytes]) -> None:
    names = batches.schema.names
    start = "[\n"
    for row in _rows(batches):
        document = json.dumps(dict(zip(names, row, strict=True)), default=plain, ensure_ascii=False)
        target.write(f"{start}  {document}".encode())
        start = ",\n"
    target.write(b"\n]\n" if start != "[\n" else b"[]\n")


@contextmanager
def _target(output: Path | None) -> Iterator[IO[bytes]]:
    if output is None:
        yield sys.stdout.buffer
        return
    try:
        with atomic_write(output) as draft, draft.open("wb") as file:
            yield file
    except OSError as error:
        raise HomeError(f"{output} cannot be written: {error.strerror}. Name another file with --output.") from error
