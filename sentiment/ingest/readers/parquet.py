"""Parquet: batch by batch, so that memory follows the batch and not the file. Row numbers serve as line numbers.

Numbers become strings as a CSV file would have them; times stay times; the fields of a structure become columns of
their own, such as `user.name`. Costs on one core: about 0.8 million rows a second.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentiment.errors import InputError, NotReadyError
from sentiment.ingest.readers.batch import Batch
from sentiment.ingest.readers.byte_stream import bomb, most_unpacked
from sentiment.ingest.readers.lines import LONGEST_KEPT
from sentiment.ingest.text import decode

MAGIC = b"PAR1"

_BATCH_ROWS = 1 << 16
_BATCH_BYTES = 1 << 28
# Both marks and the length of the footer.
_SMALLEST = 12


@contextmanager
def _damage_as_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is a damaged Parquet file ({error}). Write it again.") from error


def check_end(path: Path, file: BinaryIO) -> None:
    """Make sure that a file which begins as Parquet is there as a whole.

    Raises:
        NotReadyError: it has no end yet.
    """
    file.seek(-len(MAGIC), os.SEEK_END)
    if file.read() != MAGIC or file.tell() < _SMALLEST:
        raise NotReadyError(
            f"{path} begins as Parquet and has no end yet. It is read once it is complete. "
            f"If nothing writes to it any more, write it again."
        )
    file.seek(0)


def class_names(path: Path, file: BinaryIO) -> dict[str, tuple[str, ...]]:
    """The names of classes that Hugging Face keeps in a file, by column: number n is the n-th name."""
    with _damage_as_sentence(path):
        written = (pq.read_schema(file).metadata or {}).get(b"huggingface")
    try:
        features = json.loads(written)["info"]["features"] if written else {}
        return {
            name: tuple(kind["names"])
            for name, kind in features.items()
            if isinstance(kind, dict) and kind.get("_type") == "ClassLabel" and kind.get("names")
        }
    except (ValueError, KeyError, TypeError):
        return {}


def read_parquet(path: Path, file: BinaryIO) -> Iterator[Batch]:
    """Read an open Parquet file; `path` is for messages alone.

    Raises:
        InputError: the file is damaged, becomes far larger when it is unpacked, or two columns have one name.
    """
    with _damage_as_sentence(path), pq.ParquetFile(file) as parquet:
        names = parquet.schema_arrow.names
        if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise InputError(f"{path} has {names.count(repeated[0])} columns named {repeated[0]}. Keep one.")
        first_row = 1
        most = most_unpacked(file)
        for batch in _batches(file, parquet):
            most -= batch.nbytes
            if most < 0:
                raise bomb(path, most_unpacked(file) - most)
            yield _read_batch(batch, first_row)
            first_row += batch.num_rows
        if first_row - 1 != parquet.metadata.num_rows:
            raise InputError(
                f"{path} is a damaged Parquet file: it has {first_row - 1} rows, where {parquet.metadata.num_rows} "
                f"are announced. Write it again."
            )


def _batches(file: BinaryIO, parquet: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """The rows, in batches of a bounded size.

    A column keeps a value that repeats once, in a dictionary, and can so hold gigabytes in a kilobyte. The longest value of
    the dictionaries says how many rows fit into a batch.
    """
    texts = [
        column.path
        for column in map(parquet.schema.column, range(len(parquet.schema)))
        if column.physical_type == "BYTE_ARRAY" and column.max_repetition_level == 0
    ]
    with pq.ParquetFile(file, read_dictionary=texts) as coded:
        for group in range(parquet.num_row_groups):
            longest = max((_longest_value(coded, group, name) for name in texts), default=0)
            rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, longest)))
            yield from parquet.iter_batches(batch_size=rows, row_groups=[group])


def _longest_value(coded: pq.ParquetFile, group: int, name: str) -> int:
    """Bytes of the longest value in the dictionary of a row group's column; of the first value without one."""
    # Arrow's metadata of a column would tell whether there is one, and abort the process where it is damaged.
    batch = next(coded.iter_batches(batch_size=1, row_groups=[group], columns=[name]), None)
    if batch is None:
        return 0
    values = batch.column(0)
    while pa.types.is_struct(values.type):
        values = values.field(0)
    if not pa.types.is_dictionary(values.type):
        return 0
    return pc.max(pc.binary_length(values.dictionary)).as_py() or 0


def _read_batch(batch: pa.RecordBatch, first_row: int) -> Batch:
    columns: list[pl.Series] = []
    not_text: dict[str, pl.Series] = {}
    not_string: dict[str, pl.Series] = {}
    changed: dict[str, dict[int, bytes]] = {}
    given: dict[str, pl.Series] = {}
    for name, values in _flattened(batch):
        series, raw = _decoded(values)
        given[name] = series
        columns.append(_as_strings(series).alias(name))
        if raw:
            changed[name] = {row + first_row: value for row, value in raw.items()}
        if not _is_text(values.type):
            is_given = series.is_not_null()
            if not _is_number(values.type):
                not_text[name] = is_given
            not_string[name] = is_given
    frame = pl.DataFrame([series.alias(name) for name, series in given.items()])

    def raw_line(line_number: int) -> tuple[bytes, int]:
        line = orjson.dumps(frame.row(line_number - first_row, named=True), default=str, option=orjson.OPT_NON_STR_KEYS)
        return line[:LONGEST_KEPT], len(line)

    numbers = np.arange(first_row, first_row + batch.num_rows, dtype=np.int64)
    raw_field = (lambda name: changed.get(name, {})) if changed else None
    return Batch(numbers, pl.DataFrame(columns), [], raw_line, not_text, not_string, raw_field)


def _flattened(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_struct(values.type):
            for inner, found in zip(values.type, values.flatten(), strict=True):
                yield f"{name}.{inner.name}", found
        else:
            yield name, values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary)
    return any(test(kind) for test in (*tests, pa.types.is_large_binary, pa.types.is_null))


def _is_number(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_decimal,
            pa.types.is_timestamp,
            pa.types.is_date,
        )
    )


def _decoded(column: pa.Array) -> tuple[pl.Series, dict[int, bytes]]:
    """A column's values, strings decoded as in the other formats, and by row the original bytes of those that changed."""
    if not _is_text(column.type):
        return pl.Series(column), {}
    raw = column.cast(pa.large_binary())
    try:
        return pl.Series(raw.cast(pa.large_string())), {}
    except pa.ArrowInvalid:
        before = raw.to_pylist()
        after = [None if value is None else decode(value) for value in before]
        changed = {
            row: old
            for row, (old, new) in enumerate(zip(before, after, strict=True))
            if old is not None and new is not None and new.encode() != old
        }
        return pl.Series(after, dtype=pl.String), changed


def _as_strings(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        return values
    if values.dtype == pl.Date:
        values = values.cast(pl.Datetime("us"))
    if isinstance(values.dtype, pl.Datetime):
        if values.dtype.time_zone is None:
            return values.cast(pl.Datetime("us"))
        return values.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        return values.cast(pl.String)
    return pl.Series(
        values.name, [None if value is None else str(value) for value in values.to_list()], dtype=pl.String
    )
