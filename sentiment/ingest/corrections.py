"""Labels that people give later: one tweet or a file of them, kept separately from the sources; the newest counts.

A correction changes no row of `tweets`: what the sources said stays there, the split stays, and the file can be ingested
again. The next export takes the corrected label instead (`sql/steps/training/`), so the next
training learns it and the next decision is taken on it. A correction that says what its author said last is not written
again, so that a file can be given twice. Rows that cannot be taken are named, the others are written in one transaction;
100,000 rows take a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import polars as pl

from sentiment import clock
from sentiment.errors import InputError
from sentiment.ingest.mapping.labels import PLAIN_LABELS
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.session import Warehouse

EXPECTED_LABELS = "negative, neutral or positive"
READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": partial(pl.read_csv, infer_schema=False),
    ".parquet": pl.read_parquet,
    ".ndjson": pl.read_ndjson,
    ".jsonl": pl.read_ndjson,
}
COLUMNS = ("tweet_id", "label", "corrected_by")


@dataclass(frozen=True)
class Refusal:
    """A row that could not be taken, and why."""

    row: int
    tweet_id: str
    reason: str


@dataclass(frozen=True)
class CorrectionReport:
    """What became of the corrections that were given."""

    count_written: int
    count_unchanged: int
    refused: list[Refusal]

    @property
    def sentence(self) -> str:
        """For people."""
        text = f"{self.count_written:,} corrections were written"
        text += f", {self.count_unchanged:,} were there already." if self.count_unchanged else "."
        if self.refused:
            named = "; ".join(f"row {found.row}: {found.reason}" for found in self.refused[:5])
            more = f"; and {len(self.refused) - 5:,} more (--json names all)" if len(self.refused) > 5 else ""
            text += f" {len(self.refused):,} rows were left out: {named}{more}."
        return text


def read_corrections(path: Path) -> pl.DataFrame:
    """Read a file of corrections: CSV with a header, Parquet or NDJSON, by its ending.

    Returns:
        columns `tweet_id`, `label` and, where the file has it, `corrected_by`, all as strings.

    Raises:
        InputError: the file is missing, of another format, or lacks a column.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path} in {Path.cwd()}. Check the spelling.")
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise InputError(f"{path} ends in {path.suffix or 'nothing'}, expected one of {', '.join(READERS)}. Rename it.")
    try:
        frame = read(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as {path.suffix[1:].upper()}: {reason}. Write it again.") from error
    if missing := [name for name in COLUMNS[:2] if name not in frame.columns]:
        raise InputError(
            f"{path} lacks the column {' and '.join(missing)}: it has {', '.join(frame.columns) or 'none'}, where tweet_id "
            "and label must be and corrected_by can be. Rename them."
        )
    return frame.select(pl.col(name).cast(pl.String) for name in COLUMNS if name in frame.columns)


def correct(home: Home, given: pl.DataFrame, *, corrected_by: str) -> CorrectionReport:
    """Write corrections; of two for the same tweet the later row counts.

    Args:
        given: columns `tweet_id`, `label` and optionally `corrected_by`, as strings.
        corrected_by: who corrected the rows that do not say.

    Raises:
        BusyError, HomeError: as `warehouse.writer`.
    """
    with writer(home) as warehouse, warehouse.transaction():
        return write_corrections(warehouse, given, corrected_by=corrected_by)


def write_corrections(warehouse: Warehouse, given: pl.DataFrame, *, corrected_by: str) -> CorrectionReport:
    """The same within a transaction that is open."""
    if "corrected_by" not in given.columns:
        given = given.with_columns(corrected_by=pl.lit(None, dtype=pl.String))
    rows = given.select(
        row=pl.int_range(1, pl.len() + 1),
        given_id=pl.col("tweet_id").fill_null(""),
        given_label=pl.col("label").fill_null(""),
        tweet_id=pl.col("tweet_id").str.strip_chars().cast(pl.Int64, strict=False),
        label=pl.col("label")
        .str.strip_chars()
        .str.to_lowercase()
        .replace_strict(PLAIN_LABELS, default=None, return_dtype=pl.String),
        corrected_by=pl.coalesce(pl.col("corrected_by").str.strip_chars().replace("", None), pl.lit(corrected_by)),
    )
    ids = rows.select("tweet_id").drop_nulls().unique(maintain_order=True)
    known = warehouse.load("steps/ingest/select_corrected_tweets", ids)
    newest = {tweet_id: (label, author) for tweet_id, is_known, label, author in known.iter_rows() if is_known}
    taken, refused, count_unchanged = _sort_out(rows, newest)
    if taken:
        # Rows of one file follow each other in time, so that the later one is the newest.
        now = clock.now()
        written = [(*row, now + timedelta(microseconds=number)) for number, row in enumerate(taken)]
        schema = {
            "tweet_id": pl.Int64(),
            "label": pl.String(),
            "corrected_by": pl.String(),
            "corrected_at": pl.Datetime("us", "UTC"),
        }
        warehouse.load("steps/ingest/insert_corrections", pl.DataFrame(written, schema=schema, orient="row"))
    return CorrectionReport(len(taken), count_unchanged, refused)


def _sort_out(
    rows: pl.DataFrame, newest: dict[int, tuple[str | None, str | None]]
) -> tuple[list[tuple[int, str, str]], list[Refusal], int]:
    taken: list[tuple[int, str, str]] = []
    refused: list[Refusal] = []
    count_unchanged = 0
    for row, given_id, given_label, tweet_id, label, author in rows.iter_rows():
        if tweet_id not in newest:
            refused.append(Refusal(row, given_id, f"there is no tweet {given_id!r}"))
        elif label is None:
            refused.append(Refusal(row, given_id, f"the label {given_label!r} is not {EXPECTED_LABELS}"))
        elif newest[tweet_id] == (label, author):
            count_unchanged += 1
        else:
            newest[tweet_id] = (label, author)
            taken.append((tweet_id, label, author))
    return taken, refused, count_unchanged
