"""Scores every tweet exactly once for a model version, also after kills and repeated runs.

The ledger `scored_ranges` (`sentiment.warehouse.scored_ranges`) says what the version has not scored, so the cost of a run
follows what is new. Those tweets are copied to Parquet shards under a short lock. Workers predict them without a lock. Each
shard's predictions are committed together with its row of the ledger: a file of predictions that arrives twice counts once, a
kill costs the shards that were not committed, and other processes wait for a fifth of a second. Memory holds two shards
and the predictions of two more. When the champion has scored every tweet, `published_model` names it and the views show its
predictions alone.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from sentiment import clock
from sentiment.errors import HomeError, InputError, NoChampionError
from sentiment.registry.champion import known_champion, publish_if_complete
from sentiment.registry.client import Registry
from sentiment.registry.history import recorded_champion
from sentiment.registry.store import champion_in_store
from sentiment.scoring.executors import open_workers
from sentiment.scoring.store import ShardStore, reported_missing
from sentiment.scoring.tables_thread import TablesThread
from sentiment.scoring.worker import (
    MODELS,
    PREDICTIONS,
    SHARDS,
    ModelFiles,
    ShardResult,
    ShardTask,
    WorkerError,
    describe_model,
    predict_shard,
    versions,
)
from sentiment.scoring.workers import Workers, result_of
from sentiment.settings import Home
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.scored_ranges import Piece, count_unscored, unscored_pieces
from sentiment.warehouse.session import Warehouse
from sentiment.warehouse.snapshot import is_published

CHUNK_ROWS = 200_000
_SECONDS_BETWEEN_CHECKS = 5.0
_LEAST_SHARDS_A_SESSION = 4
_MOST_ATTEMPTS = 3
_SECONDS_OVERDUE = 60.0
_SHARDS_A_COMMIT, _SECONDS_A_COMMIT = 2, 10.0
"""Two shards of the default fill a row group of DuckDB, which it writes once; what is less goes through its log as well."""


@dataclass(frozen=True)
class Selection:
    """Which tweets are scored, and by which version.

    Attributes:
        model_version: the champion unless given.
        since, until: only tweets posted from `since` on and before `until`; without a zone, UTC.
    """

    model_version: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_past_range(self) -> bool:
        """Whether some tweets are left out: the ledger cannot mark a range as scored then."""
        return self.since is not None or self.until is not None


@dataclass(frozen=True)
class ScoreReport:
    """The result of a scoring run."""

    model_version: int
    count_scored: int
    count_tweets: int
    is_complete: bool
    is_published: bool
    seconds: float


def score(
    home: Home,
    registry: Registry,
    *,
    run_id: str,
    selection: Selection = Selection(),
    chunk_rows: int = CHUNK_ROWS,
    on_progress: Callable[[int, int], None] | None = None,
) -> ScoreReport:
    """Score every tweet that a version has not scored.

    Args:
        run_id: written into each prediction.
        chunk_rows: tweets that are committed at a time, in two shards.
        on_progress: called with the number of tweets checked so far, and the total.

    Raises:
        InputError: `since` is not before `until`.
        NoChampionError: there is no champion to score with.
        ModelError: the version does not exist or cannot be loaded.
        ClusterError, WorkerError, StoreError: the workers or their store cannot be used; what was committed is kept.
    """
    started = time.perf_counter()
    selection = _resolve(selection, home, registry)
    model_version = selection.model_version
    assert model_version is not None
    count_scored = 0
    with operation_lock(home, "score"):
        job = _Job(home, registry, selection, run_id)
        shard_rows = max(1, chunk_rows // _SHARDS_A_COMMIT)
        after = 0
        while True:
            with writer(home) as warehouse:
                pieces = unscored_pieces(warehouse, model_version, rows=shard_rows, after=after)
            if not pieces:
                break
            count_scored += job.run(pieces, on_progress)
            # Tweets that changed meanwhile have a higher number; another round scores them.
            after = pieces[-1].end_number
        job.clean_up()
        with writer(home) as warehouse, warehouse.transaction():
            if job.count_committed:
                warehouse.run("steps/scoring/merge_scored_ranges", model_version=model_version)
            count_tweets = warehouse.value("steps/warehouse/count_tweets")
            # Read again: the alias may have moved during scoring.
            champion = registry.champion()
            is_complete = count_unscored(warehouse, model_version) == 0
            is_flipped = champion is not None and publish_if_complete(warehouse, champion.model_version)
            is_published = is_flipped and champion is not None and champion.model_version == model_version
    return ScoreReport(
        model_version, count_scored, count_tweets, is_complete, is_published, time.perf_counter() - started
    )


def nothing_to_score(home: Home) -> ScoreReport | None:
    """The report of a run that would find nothing to score and nothing to publish; None if there may be something to do.

    Takes 50 ms, since it asks neither MLflow nor a worker.
    """
    if home.forgetting.exists() or not is_published(home):
        return None
    started = time.perf_counter()
    try:
        champion = champion_in_store(home)
        with reader(home) as snapshot:
            is_champion = champion is not None and champion == recorded_champion(snapshot)
            is_shown = champion == snapshot.value("steps/warehouse/select_published_version")
            if not is_champion or not is_shown or count_unscored(snapshot, int(champion or 0)):
                return None
            count_tweets = snapshot.value("steps/warehouse/count_tweets")
    except HomeError:
        return None  # The run says what is wrong.
    return ScoreReport(int(champion or 0), 0, count_tweets, True, True, time.perf_counter() - started)


def _resolve(selection: Selection, home: Home, registry: Registry) -> Selection:
    """The selection with a version and with times in UTC."""
    model_version = selection.model_version
    if model_version is None:
        champion = registry.champion()
        if champion is None:
            with writer(home) as warehouse:
                known_champion(registry, warehouse)
            raise NoChampionError("There is no champion to score with. Train one first: sentiment retrain")
        model_version = champion.model_version
    registry.version(model_version)
    since = selection.since and clock.in_utc(selection.since)
    until = selection.until and clock.in_utc(selection.until)
    if since is not None and until is not None and since >= until:
        raise InputError(
            f"Asked for tweets from {selection.since} on and before {selection.until}: there are none. Swap the two."
        )
    return Selection(model_version, since, until)


@dataclass(frozen=True)
class _Shard:
    """A shard that was written and waits for its predictions."""

    piece: Piece
    task: ShardTask
    attempt: int = 1
    submitted_at: float = 0.0


class _Job:
    """The shards of one run: written, predicted, committed."""

    def __init__(self, home: Home, registry: Registry, selection: Selection, run_id: str) -> None:
        self.home = home
        self.registry = registry
        self.selection = selection
        self.run_id = run_id
        self.store = open_store(home)
        self.count_committed = 0
        self.model_folder = MODELS

    def run(self, pieces: list[Piece], on_progress: Callable[[int, int], None] | None) -> int:
        """Score pieces; the number of predictions that were committed."""
        waiting, ready, predicted = deque(pieces), deque[_Shard](), list[tuple[_Shard, ShardResult]]()
        running: dict[Future[ShardResult], _Shard] = {}
        written: Future[list[_Shard]] | None = None
        total = sum(piece.count_rows for piece in pieces)
        with open_workers(self.home.settings, self.store) as opened, TablesThread(total, on_progress) as tables:
            workers = opened
            files = self._ship_model(workers)
            room = 1 if workers.count == 1 else 2 * workers.count
            while waiting or written or ready or running:
                if waiting and written is None and len(ready) <= room:
                    batch = [waiting.popleft() for _ in range(min(len(waiting), max(room, _LEAST_SHARDS_A_SESSION)))]
                    written = tables.submit(self._write_shards, batch, files, workers.batch_rows)
                while ready and len(running) < room:
                    _submit(ready.popleft(), workers, running)
                pending: set[Future[Any]] = {*running, *([written] if written else [])}
                finished = wait(pending, _SECONDS_BETWEEN_CHECKS, FIRST_COMPLETED).done
                if not finished:
                    workers.check()
                    if workers.is_remote and not waiting:
                        _submit_overdue(workers, running)
                if written is not None and written.done():
                    ready.extend(written.result())
                    written = None
                for future in finished & running.keys():
                    shard = running.pop(future)
                    try:
                        result = result_of(future)
                    except WorkerError:
                        if workers.renew is None or shard.attempt == _MOST_ATTEMPTS:
                            raise
                        workers = workers.renew()
                        ready.appendleft(replace(shard, attempt=shard.attempt + 1))
                        continue
                    for other in [other for other, its in running.items() if its.piece == shard.piece]:
                        other.cancel()
                        del running[other]
                    predicted.append((shard, result))
                if _is_enough(predicted) or not (waiting or written or ready or running):
                    count_rows = sum(shard.piece.count_rows for shard, _ in predicted)
                    tables.commit(count_rows, self._commit, predicted)
                    predicted = []
            return tables.finish()

    def clean_up(self) -> None:
        """Remove shards and predictions, also those of killed runs; the model stays until another one replaces it."""
        if self.count_committed or self.store.is_local:
            clear_store(self.store, kept=self.model_folder)

    def _ship_model(self, workers: Workers) -> ModelFiles:
        assert self.selection.model_version is not None
        folder = self.registry.model_files(self.selection.model_version)
        files = describe_model(folder)
        if not workers.is_remote:
            return files
        target = self.model_folder = f"{MODELS}/{files.digest[:20]}"
        for name in files.names:
            if not self.store.exists(f"{target}/{name}"):
                self.store.write(f"{target}/{name}", (folder / name).read_bytes())
        return replace(files, address=_below(self.store.address, target))

    def _write_shards(self, pieces: list[Piece], files: ModelFiles, batch_rows: int) -> list[_Shard]:
        """Write the shards of some pieces; a piece without unscored tweets goes into the ledger at once."""
        selection, tasks = self.selection, []
        draft = self.home.work / "shard.parquet"
        with writer(self.home) as warehouse:
            warehouse.run("steps/warehouse/set_one_thread")
            for piece in pieces:
                count = warehouse.value(
                    "steps/scoring/export_unscored",
                    model_version=selection.model_version,
                    since=selection.since,
                    until=selection.until,
                    path=str(draft),
                    compression=self.store.compression,
                    **_bounds(piece),
                )
                if not count:
                    with warehouse.transaction():
                        self._book(warehouse, piece, 0)
                    continue
                content = draft.read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                name = f"{SHARDS}/{digest[:20]}.parquet"
                self.store.write(name, content)
                labels, device = self.home.settings.labels, self.home.settings.device
                task = ShardTask(self.store.address, name, digest, files, batch_rows, labels, device, versions())
                tasks.append(_Shard(piece, task))
        draft.unlink(missing_ok=True)
        return tasks

    def _commit(self, predicted: list[tuple[_Shard, ShardResult]]) -> int:
        """Merge files of predictions exactly once: their rows and the rows of the ledger in one transaction."""
        frames = []
        for _, result in predicted:
            with reported_missing(f"The file of predictions {result.output}"):
                frames.append(pl.read_parquet(io.BytesIO(self.store.read(result.output))))
        count = 0
        with writer(self.home) as warehouse:
            warehouse.run("steps/warehouse/set_one_thread")
            with warehouse.transaction():
                for (shard, _), frame in zip(predicted, frames, strict=True):
                    count += self._merge(warehouse, shard.piece, frame)
        for shard, result in predicted:
            self.store.remove(shard.task.shard)
            self.store.remove(result.output)
        return count

    def _merge(self, warehouse: Warehouse, piece: Piece, predictions: pl.DataFrame) -> int:
        if self._is_booked(warehouse, piece):
            return 0
        stamp = {"model_version": self.selection.model_version, "run_id": self.run_id, "scored_at": clock.now()}
        count: int = warehouse.load("steps/scoring/insert_predictions", predictions, **stamp, **_bounds(piece)).item()
        self._book(warehouse, piece, count)
        return count

    def _is_booked(self, warehouse: Warehouse, piece: Piece) -> bool:
        return not self.selection.is_past_range and bool(
            warehouse.value(
                "steps/scoring/count_overlapping_ranges",
                model_version=self.selection.model_version,
                first_number=piece.first_number,
                end_number=piece.end_number,
            )
        )

    def _book(self, warehouse: Warehouse, piece: Piece, count: int) -> None:
        if self.selection.is_past_range:
            return
        warehouse.run(
            "steps/scoring/insert_scored_range",
            model_version=self.selection.model_version,
            first_number=piece.first_number,
            end_number=piece.end_number,
            count_rows=count,
            run_id=self.run_id,
            scored_at=clock.now(),
        )
        self.count_committed += 1


def _submit(shard: _Shard, workers: Workers, running: dict[Future[ShardResult], _Shard]) -> None:
    future = workers.executor.submit(predict_shard, shard.task)
    running[future] = replace(shard, submitted_at=time.monotonic())


def _submit_overdue(workers: Workers, running: dict[Future[ShardResult], _Shard]) -> None:
    """Give a shard that does not come back to a second worker: one that hangs in a read answers the scheduler all the same."""
    overdue = [shard for shard in running.values() if time.monotonic() - shard.submitted_at > _SECONDS_OVERDUE]
    for shard in overdue:
        if shard.attempt < _MOST_ATTEMPTS and sum(other.piece == shard.piece for other in running.values()) == 1:
            _submit(replace(shard, attempt=shard.attempt + 1), workers, running)


def _is_enough(predicted: list[tuple[_Shard, ShardResult]]) -> bool:
    """Whether so much was predicted that it is committed: with a slow model, each shard."""
    return len(predicted) >= _SHARDS_A_COMMIT or sum(result.seconds for _, result in predicted) >= _SECONDS_A_COMMIT


def open_store(home: Home) -> ShardStore:
    """Where shards are kept: what `SENTIMENT_SHARDS` names, or a work folder of the home."""
    return ShardStore(home.settings.shards or str(home.work / "scoring"))


def clear_store(store: ShardStore, *, kept: str | None = None) -> int:
    """Empty a store; nobody may be scoring.

    Args:
        kept: a folder that stays, such as that of the model in use.

    Returns:
        the number of files that were removed.
    """
    names = [name for folder in (SHARDS, PREDICTIONS, MODELS) for name in store.names(folder)]
    removed = [name for name in names if kept is None or not name.startswith(f"{kept}/")]
    for name in removed:
        store.remove(name)
    return len(removed)


def _bounds(piece: Piece) -> dict[str, int]:
    return {name: value for name, value in piece._asdict().items() if name != "count_rows"}


def _below(address: str, name: str) -> str:
    """The address of a folder below another one; options of an address stay behind it."""
    path, mark, options = address.partition("?")
    return f"{path.rstrip('/')}/{name}{mark}{options}" if "://" in address else str(Path(address) / name)
