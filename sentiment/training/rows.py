"""The rows to train on: a prefix of a subset file, read and prepared by threads ahead of training.

A small part of the rows, chosen by hash of `text_key` so that near-duplicates stay together, is held back for early
stopping and calibration. The rest come row group by row group; at most three are in memory, however many there are.
Everything about the order follows from the seed and the step, so that a run can continue where it was killed.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sentiment.errors import TrainingError
from sentiment.model import hashing
from sentiment.model.atomic import draft_of, put_in_place
from sentiment.model.words import hash_words

FEWEST_ROWS_OF_A_CLASS = 20
_EARLY_STOPPING_SHARE = 0.05
MOST_EARLY_STOPPING_ROWS = 20_000
_VOCABULARY_ROWS = 400_000
_PREPARING_THREADS, _GROUPS_AHEAD = 2, 3
"""A thread takes about as long to prepare rows as n-grams take to train on them: one alone would be waited for."""
_EARLY_STOPPING_SALT = np.uint64(0xA5C3_9F1D_77E1_0B4D)
_FED_ROWS_SCHEMA = pa.schema([("tweet_id", pa.int64()), ("text_key", pa.int64()), ("purpose", pa.string())])


class GroupRows(NamedTuple):
    """Rows that are trained on together: a row group of the file, or a part of one."""

    row_group: int
    first: int
    count_rows: int


@dataclass(frozen=True)
class Subset:
    """The prefix to train on. Nothing here grows with the number of rows except three numbers a group."""

    path: Path
    groups: list[GroupRows]
    early_stopping_share: float
    count_train_rows: int
    early_texts: pl.Series
    early_labels: np.ndarray
    digest: str

    def is_early_stopping(self, rows: pl.DataFrame) -> np.ndarray:
        """Which rows are held back from training: bool, shape (rows,)."""
        return _is_early_stopping(rows["text_key"].to_numpy(), self.early_stopping_share)


def _is_early_stopping(text_keys: np.ndarray, share: float) -> np.ndarray:
    return hashing.mix(text_keys.view(np.uint64) ^ _EARLY_STOPPING_SALT) < np.uint64(int(share * 2**63) * 2)


def _read_group(file: pq.ParquetFile, group: GroupRows, columns: list[str]) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(file.read_row_group(group.row_group, columns=columns)))
    return frame.slice(group.first, group.count_rows)


def _groups(metadata: pq.FileMetaData, count_rows: int, most_rows: int | None) -> list[GroupRows]:
    """The first rows of a file, row group by row group, in parts of `most_rows`."""
    groups: list[GroupRows] = []
    for row_group in range(metadata.num_row_groups):
        count = min(metadata.row_group(row_group).num_rows, count_rows)
        size = max(most_rows or count, 1)
        groups += [GroupRows(row_group, first, min(size, count - first)) for first in range(0, count, size)]
        count_rows -= count
    return groups


def open_subset(
    path: Path, count_rows: int, most_rows: int | None = None, most_held_back: int = MOST_EARLY_STOPPING_ROWS
) -> Subset:
    """Collect the early-stopping rows, one for each text key, and check that there are enough of each class to train on.

    Args:
        most_rows: of a group; all of a row group unless given.
        most_held_back: rows, about.

    Raises:
        TrainingError: fewer rows than asked for, or too few of a class.
    """
    share = min(_EARLY_STOPPING_SHARE, most_held_back / max(count_rows, 1))
    found = [0, 0]
    early: list[pl.DataFrame] = []
    digest = hashlib.sha256()
    with pq.ParquetFile(path) as file:
        groups = _groups(file.metadata, count_rows, most_rows)
        available = file.metadata.num_rows
        if count_rows > available:
            raise TrainingError(
                f"Asked to train on {count_rows:,} rows, but the subset holds {available:,}. Ask for no more than that."
            )
        for group in _groups(file.metadata, count_rows, None):
            rows = _read_group(file, group, ["text_key", "label", "text"])
            digest.update(rows["text_key"].to_numpy().tobytes() + rows["label"].to_numpy().tobytes())
            is_early = _is_early_stopping(rows["text_key"].to_numpy(), share)
            labels = rows["label"].to_numpy()[~is_early]
            found = [found[label] + int((labels == label).sum()) for label in (0, 1)]
            held_back = rows.filter(pl.Series(is_early))
            # A filtered column keeps the whole row group's bytes alive; a new one keeps its own.
            early.append(held_back.with_columns(pl.Series("text", held_back["text"].to_list(), dtype=pl.String)))
    for count, name in zip(found, ("negative", "positive"), strict=True):
        if count < FEWEST_ROWS_OF_A_CLASS:
            raise TrainingError(
                f"Found {count:,} {name} rows to train on among {count_rows:,}; at least {FEWEST_ROWS_OF_A_CLASS} of each "
                "class are needed. Ingest more labelled tweets or train on more rows."
            )
    early_rows = pl.concat(early).unique("text_key", keep="first", maintain_order=True)
    return Subset(
        path=path,
        groups=groups,
        early_stopping_share=share,
        count_train_rows=sum(found),
        early_texts=early_rows["text"],
        early_labels=early_rows["label"].to_numpy(),
        digest=digest.hexdigest(),
    )


def count_words(subset: Subset) -> tuple[np.ndarray, np.ndarray]:
    """The words of the first `_VOCABULARY_ROWS` rows or so; little can be learnt of rarer ones.

    Returns:
        their hashes, uint64, ascending, and how often each was seen, int64; both of shape (words,).
    """
    hashes, counts = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
    seen = 0
    with pq.ParquetFile(subset.path) as file:
        for group in subset.groups:
            texts = _read_group(file, group, ["text"])["text"]
            found, times = np.unique(hash_words(texts).hashes, return_counts=True)
            hashes, places = np.unique(np.concatenate([hashes, found]), return_inverse=True)
            counts = np.bincount(places, weights=np.concatenate([counts, times]), minlength=len(hashes)).astype(
                np.int64
            )
            seen += group.count_rows
            if seen >= _VOCABULARY_ROWS:
                break
    return hashes, counts


@dataclass(frozen=True)
class Group:
    """One row group, ready to train on."""

    inputs: Any
    """What `prepare` made of the texts of the training rows, in shuffled order."""
    labels: np.ndarray
    """float32 0 or 1, shape (training rows,), in the same order."""
    rows: pl.DataFrame
    """`tweet_id` and `text_key` of all rows of the group, held-back ones included."""


class Preparation(Protocol):
    """What a model in training makes of rows, in the thread that reads them."""

    def arrange(self, texts: pl.Series, generator: np.random.Generator) -> np.ndarray:
        """An order in which to train on some rows: int64, shape (rows,)."""

    def prepare(self, texts: pl.Series) -> Any:
        """What can be computed of texts ahead of training."""


def read_groups(
    subset: Subset, preparation: Preparation, *, passes: int, seed: int, first_step: int
) -> Generator[Group]:
    """Read and prepare groups of rows in threads, ahead of training, from step `first_step` (passes × groups) on."""
    count_groups, reading = len(subset.groups), threading.Lock()

    def make(step: int) -> Group:
        group = group_at(step, count_groups, seed)
        with reading:  # A Parquet file is read by one thread at a time.
            frame = _read_group(file, subset.groups[group], ["tweet_id", "text_key", "label", "text"])
        train = frame.filter(pl.Series(~subset.is_early_stopping(frame)))
        generator = np.random.Generator(np.random.PCG64([seed, step]))
        shuffled = train[preparation.arrange(train["text"], generator)]
        labels = shuffled["label"].to_numpy().astype(np.float32)
        rows = frame.select("tweet_id", "text_key")
        return Group(preparation.prepare(shuffled["text"]), labels, rows)

    with pq.ParquetFile(subset.path) as file, ThreadPoolExecutor(_PREPARING_THREADS, "prepare-rows") as threads:
        steps = iter(range(first_step, passes * count_groups))
        pending = deque(threads.submit(make, step) for step in itertools.islice(steps, _GROUPS_AHEAD))
        try:
            while pending:
                group = pending.popleft().result()
                pending.extend(threads.submit(make, step) for step in itertools.islice(steps, 1))
                yield group
        finally:
            threads.shutdown(cancel_futures=True)


def group_at(step: int, count_groups: int, seed: int) -> int:
    """The first pass reads the file in its order; later ones in an order of their own."""
    epoch, position = divmod(step, count_groups)
    if epoch == 0:
        return position
    return int(np.random.Generator(np.random.PCG64([seed, epoch, 1])).permutation(count_groups)[position])


class FedRows:
    """Lists the rows that were fed, as they are fed: Parquet with `tweet_id`, `text_key` and `purpose` ('train' or
    'early_stopping'). The file appears under its name when it is complete."""

    def __init__(self, path: Path, subset: Subset) -> None:
        self._path = path
        self._draft = draft_of(path)
        self._subset = subset
        path.parent.mkdir(parents=True, exist_ok=True)
        # Ids and keys do not repeat.
        self._writer = pq.ParquetWriter(
            self._draft, _FED_ROWS_SCHEMA, compression="zstd", use_dictionary=[_FED_ROWS_SCHEMA.names[-1]]
        )
        self._thread = ThreadPoolExecutor(1, "fed-rows")
        self._last: Future[None] | None = None

    def __enter__(self) -> FedRows:
        return self

    def add(self, rows: pl.DataFrame) -> None:
        """Write the rows of one row group."""
        is_early = pl.Series(self._subset.is_early_stopping(rows))
        purpose = pl.when(is_early).then(pl.lit("early_stopping")).otherwise(pl.lit("train"))
        frame = rows.select("tweet_id", "text_key", purpose=purpose)
        self._writer.write_table(frame.to_arrow().cast(_FED_ROWS_SCHEMA))

    def add_later(self, rows: pl.DataFrame) -> None:
        """The same in a thread, while the rows are trained on; waits for those before, and raises their error."""
        if self._last is not None:
            self._last.result()
        self._last = self._thread.submit(self.add, rows)

    def add_again(self, count_groups: int) -> None:
        """Write the rows of the first `count_groups` row groups, which an earlier attempt of this run fed."""
        with pq.ParquetFile(self._subset.path) as file:
            for group in self._subset.groups[:count_groups]:
                self.add(_read_group(file, group, ["tweet_id", "text_key"]))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._thread.shutdown()
            if kind is None and self._last is not None:
                self._last.result()
            self._writer.close()
            if kind is None:
                put_in_place(self._draft, self._path)
        finally:
            # Nothing is there when it has its name.
            self._draft.unlink(missing_ok=True)
