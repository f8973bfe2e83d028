"""Turns one shard of tweets into one file of predictions: a pure function, the same in every process and on every machine.

The output is named by the digests of the shard and of the model and written whole, so a task that runs twice, or whose worker
was killed, changes nothing. A worker needs this package, the shard store and memory for one shard: no warehouse, no registry
and no Prefect. It keeps the model it used last, and reads each version from the store once.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import io
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sentiment import model as model_package
from sentiment.model.errors import ModelError, SentimentError
from sentiment.model.neutral import LABELS
from sentiment.scoring.store import ShardStore, reported_missing

if TYPE_CHECKING:
    from sentiment.model.classifier import SentimentModel
    from sentiment.settings import Device

SHARDS, PREDICTIONS, MODELS = "shards", "predictions", "models"
_PACKAGES = ("torch", "polars", "numpy")


class WorkerError(SentimentError):
    """A worker cannot do the work: it runs other versions, its disk is full, or its input is damaged."""


@dataclass(frozen=True)
class ModelFiles:
    """Where a worker finds a model.

    Attributes:
        address: of the folder.
        names: of its files.
        digest: SHA-256 over names and contents.
    """

    address: str
    names: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class ShardTask:
    """What a worker needs to predict one shard.

    Attributes:
        store: address of the shard store.
        shard: name of the Parquet file of tweets (tweet_id, change_number, text).
        digest: SHA-256 of that file.
        batch_rows: tweets that are predicted at a time.
        count_labels: 2, or 3 with neutral.
        device: of the worker, to predict on.
        versions: of the program and of what it computes with, where the run was planned.
    """

    store: str
    shard: str
    digest: str
    model: ModelFiles
    batch_rows: int
    count_labels: Literal[2, 3]
    device: Device
    versions: Mapping[str, str]

    @property
    def output(self) -> str:
        """Name of the Parquet file of predictions."""
        return f"{PREDICTIONS}/{self.model.digest[:20]}-{self.digest[:20]}-{self.count_labels}.parquet"


@dataclass(frozen=True)
class ShardResult:
    """The result of a task."""

    output: str
    count_rows: int
    seconds: float


def predict_shard(task: ShardTask) -> ShardResult:
    """Write the predictions of a shard into the store, unless they are there already.

    Returns:
        the name of a Parquet file with `tweet_id`, `change_number`, `probability_positive`, `probability_neutral` (float32)
        and `label`.

    Raises:
        WorkerError: this worker runs other versions, its disk is full, or the shard is damaged.
        ModelError: the model cannot be loaded.
        StoreError: the store cannot be reached, or the shard is gone.
    """
    started = time.perf_counter()
    refuse_other_versions(task.versions)
    store = ShardStore(task.store)
    if store.exists(task.output):
        return ShardResult(task.output, 0, time.perf_counter() - started)
    with reported_missing(f"The shard {task.shard}"):
        content = store.read(task.shard)
    if hashlib.sha256(content).hexdigest() != task.digest:
        raise WorkerError(f"The shard {task.shard} in {task.store} is damaged. Run it again, and it is rewritten.")
    model = load_model(task.model, task.device)
    with pq.ParquetFile(pa.BufferReader(content)) as file:
        parts = [
            predict_frame(model, pl.DataFrame(batch), task.count_labels).drop("text")
            for batch in file.iter_batches(task.batch_rows)
        ]
    predicted = io.BytesIO()
    pl.concat(parts).write_parquet(predicted, compression=store.compression, statistics=False)
    store.write(task.output, predicted.getvalue())
    return ShardResult(task.output, sum(map(len, parts)), time.perf_counter() - started)


def predict_frame(model: SentimentModel, frame: pl.DataFrame, count_labels: Literal[2, 3] = 3) -> pl.DataFrame:
    """Add `probability_positive` and `probability_neutral` (float32) and `label` to a frame with a `text` column.

    Args:
        count_labels: with 2 no label is neutral, and `probability_neutral` is null.
    """
    found = model.predict(frame["text"])
    neutral = found.probability_neutral if count_labels == 3 else [None] * len(frame)
    return frame.with_columns(
        probability_positive=pl.Series(found.probability_positive, dtype=pl.Float32),
        probability_neutral=pl.Series(neutral, dtype=pl.Float32),
        label=pl.Series(LABELS, dtype=pl.String).gather(found.label_codes(count_labels)),
    )


def describe_model(folder: Path) -> ModelFiles:
    """The files of a saved model, with their digest.

    Raises:
        ModelError: there is no such folder.
    """
    names = tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))
    if not names:
        raise ModelError(f"There are no files of a model in {folder}. Restore them from a backup, or train again.")
    return ModelFiles(str(folder), names, digest_files(names, [(folder / name).read_bytes() for name in names]))


def digest_files(names: tuple[str, ...], contents: list[bytes]) -> str:
    """SHA-256 over names and contents of files."""
    digest = hashlib.sha256()
    for name, content in zip(names, contents, strict=True):
        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


@functools.lru_cache(maxsize=1)
def load_model(files: ModelFiles, device: Device = "cpu") -> SentimentModel:
    """Load a model from its folder or store, verified by its digest; the last one is cached.

    Raises:
        WorkerError: the files are not those that the run named, or the disk is full.
        ModelError: they cannot be loaded, or there is no GPU though one was asked for.
    """
    from sentiment.model.classifier import SentimentModel
    from sentiment.model.device import for_many_texts

    store = ShardStore(files.address)
    with reported_missing(f"A file of the model in {files.address}"):
        contents = [store.read(name) for name in files.names]
    if digest_files(files.names, contents) != files.digest:
        raise WorkerError(f"The model in {files.address} is damaged. Run it again, and it is rewritten.")
    try:
        # Without a folder that can be written, tempfile raises FileNotFoundError.
        with tempfile.TemporaryDirectory(prefix="sentiment-model-") as folder:
            for name, content in zip(files.names, contents, strict=True):
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            return for_many_texts(SentimentModel.load(Path(folder)), device)
    except OSError as error:
        raise WorkerError(
            f"The worker on {socket.gethostname()} cannot keep the model, {sum(map(len, contents)) >> 20} MiB, in its folder "
            f"of temporary files ({error.strerror}). Free some space there, or set TMPDIR to another folder."
        ) from error


@functools.cache
def versions() -> dict[str, str]:
    """What a prediction depends on: this program's code for models and shards, and the packages that it computes with."""
    root = Path(model_package.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    names = (*(str(path.relative_to(root)) for path in files), Path(__file__).name)
    digest = digest_files(names, [path.read_bytes() for path in (*files, Path(__file__))])
    return {"sentiment": digest[:12], **{name: importlib.metadata.version(name) for name in _PACKAGES}}


def refuse_other_versions(expected: Mapping[str, str]) -> None:
    """Fail on a worker that would predict with other code.

    Raises:
        WorkerError: naming what differs.
    """
    found = versions()
    differing = [
        f"{name} {found.get(name)}, expected {version}"
        for name, version in expected.items()
        if found.get(name) != version
    ]
    if differing:
        raise WorkerError(
            f"A worker runs other versions than the run that asks it: {'; '.join(differing)}. Install the same checkout and "
            "requirements.lock there."
        )
