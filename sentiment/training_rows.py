"""The rows that training feeds: a prefix of a subset file, read and hashed by a thread beside training.

A small part of the rows, chosen by hash of `text_key` so that near-duplicates stay together, is held back for early
stopping and calibration. The rest come row group by row group; at most three are in memory, however many there are.
Everything about the order follows from the seed and the step, so that a run can go on where it was killed.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sentiment import hashing
from sentiment.errors import TrainingError
from sentiment.features import FeatureConfig, extract

FEWEST_ROWS_OF_A_CLASS = 20
_EARLY_STOPPING_SHARE = 0.05
_MOST_EARLY_STOPPING_ROWS = 20_000
_EARLY_STOPPING_SALT = np.uint64(0xA5C3_9F1D_77E1_0B4D)
_FED_ROWS_SCHEMA = pa.schema([("tweet_id", pa.int64()), ("text_key", pa.int64()), ("purpose", pa.string())])


@dataclass(frozen=True)
class Subset:
    """The prefix to train on: which rows of which row group do what."""

    path: Path
    group_rows: list[int]
    text_keys: np.ndarray
    is_early_stopping: np.ndarray
    early_texts: pl.Series
    early_labels: np.ndarray
    digest: str

    @property
    def count_train_rows(self) -> int:
        return int((~self.is_early_stopping).sum())

    def mask(self, group: int) -> np.ndarray:
        first = sum(self.group_rows[:group])
        return self.is_early_stopping[first : first + self.group_rows[group]]


def _read_group(file: pq.ParquetFile, group: int, count_rows: int, columns: list[str]) -> pl.DataFrame:
    frame = pl.from_arrow(file.read_row_group(group, columns=columns))
    assert isinstance(frame, pl.DataFrame)
    return frame.head(count_rows)


def open_subset(path: Path, count_rows: int) -> Subset:
    """Choose the early-stopping rows and check that there is enough of each class; raises TrainingError."""
    with pq.ParquetFile(path) as file:
        available = file.metadata.num_rows
        if count_rows > available:
            raise TrainingError(f"Asked to train on {count_rows:,} rows, but the subset holds {available:,}.")
        group_rows: list[int] = []
        while sum(group_rows) < count_rows:
            rows = file.metadata.row_group(len(group_rows)).num_rows
            group_rows.append(min(rows, count_rows - sum(group_rows)))
        columns = ["text_key", "label"]
        frames = [_read_group(file, group, rows, columns) for group, rows in enumerate(group_rows)]
        keys = np.concatenate([f["text_key"].to_numpy() for f in frames]) if frames else np.empty(0, dtype=np.int64)
        labels = np.concatenate([f["label"].to_numpy() for f in frames]) if frames else np.empty(0, dtype=np.int8)
        chance = hashing.mix(keys.view(np.uint64) ^ _EARLY_STOPPING_SALT)
        wanted = min(int(count_rows * _EARLY_STOPPING_SHARE), _MOST_EARLY_STOPPING_ROWS)
        is_early = chance <= np.partition(chance, wanted)[wanted] if wanted else np.zeros(count_rows, dtype=bool)
        for label, name in ((0, "negative"), (1, "positive")):
            found = int((labels[~is_early] == label).sum())
            if found < FEWEST_ROWS_OF_A_CLASS:
                raise TrainingError(
                    f"Found {found} {name} rows to train on among {count_rows:,}; at least {FEWEST_ROWS_OF_A_CLASS} of "
                    "each class are needed. Ingest more labelled tweets or train on more rows."
                )
        texts = [pl.Series("text", [], dtype=pl.String)]
        first = 0
        for group, rows in enumerate(group_rows):
            mask = is_early[first : first + rows]
            first += rows
            if mask.any():
                texts.append(_read_group(file, group, rows, ["text"])["text"].filter(pl.Series(mask)))
    _, unique = np.unique(keys[is_early], return_index=True)
    digest = hashlib.sha256(keys.tobytes() + labels.astype(np.int8).tobytes()).hexdigest()
    return Subset(path, group_rows, keys, is_early, pl.concat(texts)[unique], labels[is_early][unique].astype(np.int8), digest)


@dataclass(frozen=True)
class Group:
    """One row group, ready to train on: features of the rows in their shuffled order, and the rows themselves."""

    indices: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    rows: pl.DataFrame


def read_groups(subset: Subset, features: FeatureConfig, *, passes: int, seed: int, first_step: int) -> Iterator[Group]:
    """Read and hash row groups in a thread, two ahead, from step `first_step` (passes × row groups) on."""
    count_groups = len(subset.group_rows)
    ready: queue.Queue[Group | BaseException | None] = queue.Queue(maxsize=2)
    stopped = threading.Event()

    def put(item: Group | BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def produce() -> None:
        try:
            with pq.ParquetFile(subset.path) as file:
                for step in range(first_step, passes * count_groups):
                    if stopped.is_set():
                        return
                    group = group_at(step, count_groups, seed)
                    frame = _read_group(
                        file, group, subset.group_rows[group], ["tweet_id", "text_key", "label", "text"]
                    )
                    train = frame.filter(pl.Series(~subset.mask(group)))
                    order = np.random.Generator(np.random.PCG64([seed, step])).permutation(len(train))
                    shuffled = train[order]
                    indices, offsets = extract(shuffled["text"], features)
                    labels = shuffled["label"].to_numpy().astype(np.float32)
                    put(Group(indices, offsets, labels, frame.select("tweet_id", "text_key")))
            put(None)
        except BaseException as error:  # handed to the consumer, which raises it
            put(error)

    thread = threading.Thread(target=produce, name="hash-ngrams", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def group_at(step: int, count_groups: int, seed: int) -> int:
    """The first pass reads the file in its order; later ones in an order of their own."""
    epoch, position = divmod(step, count_groups)
    if epoch == 0:
        return position
    return int(np.random.Generator(np.random.PCG64([seed, epoch, 1])).permutation(count_groups)[position])


class FedRows:
    """Writes down which rows were fed, as they are fed: Parquet with `tweet_id`, `text_key` and `purpose` ('train' or
    'early_stopping'). The file appears under its name when it is complete."""

    def __init__(self, path: Path, subset: Subset) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._subset = subset
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self._part, _FED_ROWS_SCHEMA, compression="zstd")

    def __enter__(self) -> FedRows:
        return self

    def add(self, rows: pl.DataFrame, group: int) -> None:
        """Write the rows of one row group."""
        purpose = np.where(self._subset.mask(group), "early_stopping", "train")
        frame = rows.select("tweet_id", "text_key", pl.Series("purpose", purpose))
        self._writer.write_table(frame.to_arrow().cast(_FED_ROWS_SCHEMA))

    def add_again(self, count_groups: int) -> None:
        """Write the rows of the first `count_groups` row groups, which an earlier attempt of this run fed."""
        with pq.ParquetFile(self._subset.path) as file:
            for group in range(count_groups):
                self.add(_read_group(file, group, self._subset.group_rows[group], ["tweet_id", "text_key"]), group)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._writer.close()
        if kind is None:
            os.replace(self._part, self._path)
        else:
            self._part.unlink(missing_ok=True)
