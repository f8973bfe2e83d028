"""Folders that are named like `day=2026-11-01`, as Hive, Spark and others write them: columns of all files below them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from sentiment.ingest.readers.batch import Batch

Partitions = tuple[tuple[str, str | None], ...]
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.+)")
_NULL = "__HIVE_DEFAULT_PARTITION__"


def partitions_of(path: Path) -> Partitions:
    """Names and values of the folders directly above a file that are named so, the outermost first."""
    found: list[tuple[str, str | None]] = []
    for folder in path.absolute().parents:
        named = _NAMED.fullmatch(folder.name)
        if named is None:
            break
        found.append((named[1], None if named[2] == _NULL else unquote(named[2])))
    return tuple(reversed(found))


def with_partitions(batches: Iterator[Batch], partitions: Partitions) -> Iterator[Batch]:
    """Batches with a column for each folder, unless the file has one of that name."""
    for batch in batches:
        known = batch.columns.columns
        added = {name: value for name, value in partitions if name not in known}
        if not known or not added:
            yield batch
            continue
        columns = batch.columns.with_columns(
            pl.lit(value, dtype=pl.String).alias(name) for name, value in added.items()
        )
        yield replace(batch, columns=columns, of_folders=frozenset(added))
