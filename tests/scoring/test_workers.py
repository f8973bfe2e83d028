"""The same tasks in this process, in a pool and on a Dask cluster: the same predictions, each once, also after kills."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from sentiment.maintenance.doctor import check_cluster
from sentiment.object_store import StoreError
from sentiment.scoring import cluster, worker
from sentiment.scoring import score as scoring
from sentiment.scoring.executors import InlineExecutor
from sentiment.scoring.score import open_store
from sentiment.scoring.store import ShardStore
from sentiment.scoring.worker import ModelFiles, ShardTask, WorkerError
from sentiment.scoring.workers import ClusterError, Workers
from sentiment.settings import Home, Settings
from tests.dask_cluster import DaskCluster, free_port

PREDICTED = "select tweet_id, model_version, probability_positive, label from predictions order by all"


def with_settings(home: Home, **changes: Any) -> Home:
    return dataclasses.replace(home, settings=home.settings.model_copy(update=changes))


@pytest.fixture
def in_one_process(world: Home, score: Callable, rows_of: Callable) -> list[tuple[Any, ...]]:
    """What one process predicts; the tables are empty again."""
    score(chunk_rows=300)
    found: list[tuple[Any, ...]] = rows_of(world, PREDICTED)
    rows_of(world, "truncate predictions")
    rows_of(world, "truncate scored_ranges")
    return found


@pytest.fixture
def dask_cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    """A scheduler without workers."""
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    cluster = DaskCluster(tmp_path)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.mark.slow
def test_a_pool_of_processes_predicts_the_same(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable, in_one_process: list[tuple[Any, ...]]
) -> None:
    report = score(with_settings(world, scoring_processes=2), chunk_rows=300)
    assert (report.count_scored, report.is_published) == (2400, True)
    assert rows_of(world, PREDICTED) == in_one_process
    checks_pass(world)


@pytest.mark.slow
def test_a_cluster_predicts_the_same_and_a_killed_worker_costs_nothing(
    world: Home,
    score: Callable,
    rows_of: Callable,
    checks_pass: Callable,
    in_one_process: list[tuple[Any, ...]],
    dask_cluster: DaskCluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, first = dask_cluster.address, dask_cluster.start_worker()
    dask_cluster.start_worker()
    killed: list[int] = []

    def kill(done: int, total: int) -> None:
        if not killed:
            for process in psutil.Process(first.pid).children(recursive=True):
                killed.append(process.pid)
                process.kill()

    report = score(with_settings(world, scheduler=address), chunk_rows=100, on_progress=kill)
    assert killed
    assert (report.count_scored, report.is_published) == (2400, True)
    assert rows_of(world, PREDICTED) == in_one_process
    checks_pass(world)
    with cluster.connected(with_settings(world, scheduler=address).settings) as client:
        assert cluster.worker_problems(client, open_store(world)) == {}
        assert cluster.setup_problems(client) == []
    found = [
        finding for finding in check_cluster(with_settings(world, scheduler=address)) if finding.check == "cluster"
    ]
    assert [(finding.is_well, finding.remedy) for finding in found] == [(True, "")]
    monkeypatch.setattr(cluster, "versions", lambda: worker.versions() | {"torch": "1.0.0"})
    settings = with_settings(world, scheduler=address).settings
    with (
        pytest.raises(ClusterError, match=r"No worker of .* can be used.*torch .*, expected 1\.0\.0"),
        cluster.open_cluster(settings, open_store(world)),
    ):
        pass
    # The model stays for the next run, nothing else does.
    assert {path.parent.parent.name for path in (world.work / "scoring").rglob("*") if path.is_file()} == {"models"}


@pytest.mark.slow
def test_a_lost_scheduler_ends_the_run_with_a_sentence_and_the_next_one_goes_on(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable, dask_cluster: DaskCluster
) -> None:
    dask_cluster.start_worker()
    with pytest.raises(ClusterError, match="was committed is kept"):
        score(
            with_settings(world, scheduler=dask_cluster.address),
            chunk_rows=100,
            on_progress=lambda done, total: dask_cluster.scheduler.kill(),
        )
    committed = rows_of(world, "select count(*) from predictions")[0][0]
    assert 0 < committed < 2400
    assert score().count_scored == 2400 - committed
    checks_pass(world)


def test_nobody_at_the_address_is_a_sentence(world: Home, score: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 1.0)
    with pytest.raises(ClusterError, match="cannot be reached"):
        score(with_settings(world, scheduler=f"tcp://127.0.0.1:{free_port()}"))


@pytest.mark.parametrize(
    ("address", "shards", "message"),
    [
        ("tcp://10.0.0.7:8786", "/shared", "without TLS"),
        ("tcp://scheduler:8786", None, "without TLS"),
        ("tls://scheduler:8786", None, "Set SENTIMENT_SHARDS"),
    ],
)
def test_an_open_network_is_refused(address: str, shards: str | None, message: str) -> None:
    with pytest.raises(ClusterError, match=message):
        cluster.refuse_open_network(address, shards)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786"])
def test_the_loopback_interface_needs_no_certificates(address: str) -> None:
    cluster.refuse_open_network(address, None)


def test_a_worker_of_another_version_refuses_with_both() -> None:
    with pytest.raises(WorkerError, match=r"torch .*, expected 1\.0\.0"):
        worker.refuse_other_versions(worker.versions() | {"torch": "1.0.0"})


@pytest.fixture
def task(tmp_path: Path, lexicon_model: Callable) -> ShardTask:
    import hashlib

    import polars as pl

    lexicon_model(20).save(tmp_path / "model")
    store = ShardStore(str(tmp_path / "store"))
    shard = pl.DataFrame({"tweet_id": [1, 2], "change_number": [1, 2], "text": ["glad1", "sad1"]})
    shard.write_parquet(tmp_path / "shard.parquet")
    content = (tmp_path / "shard.parquet").read_bytes()
    store.write("shards/one.parquet", content)
    files = worker.describe_model(tmp_path / "model")
    return ShardTask(
        store.address,
        "shards/one.parquet",
        hashlib.sha256(content).hexdigest(),
        files,
        1000,
        2,
        "cpu",
        worker.versions(),
    )


def test_a_shard_that_is_predicted_twice_is_one_file_and_stays_as_it_was(task: ShardTask) -> None:
    first = worker.predict_shard(task)
    content = ShardStore(task.store).read(first.output)
    again = worker.predict_shard(task)
    assert (first.count_rows, again.count_rows) == (2, 0)
    assert ShardStore(task.store).read(again.output) == content
    assert len(ShardStore(task.store).names("predictions")) == 1


def test_damaged_or_missing_shards_and_models_are_sentences(task: ShardTask) -> None:
    store = ShardStore(task.store)
    store.write(task.shard, b"something else")
    with pytest.raises(WorkerError, match="is damaged"):
        worker.predict_shard(task)
    store.remove(task.shard)
    with pytest.raises(StoreError, match="not in the store any more"):
        worker.predict_shard(task)
    with pytest.raises(WorkerError, match=r"model in .* is damaged"):
        worker.load_model(ModelFiles(task.model.address, task.model.names, "of another"))


def test_an_address_that_nobody_knows_is_a_sentence() -> None:
    with pytest.raises(StoreError, match="Expected a folder that all workers see"):
        ShardStore("ftp://somewhere/prefix")


def test_a_worker_without_room_for_the_model_is_a_sentence(task: ShardTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    worker.load_model.cache_clear()
    with pytest.raises(WorkerError, match=r"cannot keep the model.*No space left.*set TMPDIR"):
        worker.predict_shard(task)


class Failing(InlineExecutor):
    """Workers of which some have a full disk."""

    def __init__(self, count_failures: int) -> None:
        self.left = count_failures

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Any:
        if self.left == 0:
            return super().submit(fn, *args, **kwargs)
        self.left -= 1
        return super().submit(self.fail)

    @staticmethod
    def fail() -> None:
        raise WorkerError("No space left")


@pytest.mark.parametrize("count_failures", [2, 3])
def test_a_shard_that_fails_on_some_workers_is_given_to_others(
    world: Home, score: Callable, checks_pass: Callable, monkeypatch: pytest.MonkeyPatch, count_failures: int
) -> None:
    executor = Failing(count_failures)
    renewed: list[int] = []

    def renew() -> Workers:
        renewed.append(executor.left)
        return Workers(executor, 2, 1000, renew=renew)

    @contextmanager
    def workers(settings: Settings, store: ShardStore) -> Iterator[Workers]:
        yield Workers(executor, 2, 1000, renew=renew)

    monkeypatch.setattr(scoring, "open_workers", workers)
    if count_failures == 3:
        # The one shard has been tried three times.
        with pytest.raises(WorkerError, match="No space left"):
            score(chunk_rows=5000)
        return
    assert score(chunk_rows=5000).count_scored == 2400
    assert renewed == [1, 0]
    checks_pass(world)


class Hanging(InlineExecutor):
    """Workers of which one never answers."""

    def __init__(self) -> None:
        self.first: Future[Any] | None = None

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Any:
        if self.first is None:
            self.first = Future()
            return self.first
        return super().submit(fn, *args, **kwargs)


def test_a_shard_that_does_not_come_back_is_given_to_another_worker(
    world: Home, score: Callable, checks_pass: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Hanging()

    @contextmanager
    def workers(settings: Settings, store: ShardStore) -> Iterator[Workers]:
        yield Workers(executor, 2, 1000, is_remote=True)

    monkeypatch.setattr(scoring, "open_workers", workers)
    monkeypatch.setattr(scoring, "_SECONDS_BETWEEN_CHECKS", 0.05)
    monkeypatch.setattr(scoring, "_SECONDS_OVERDUE", 0.2)
    assert score(chunk_rows=300).count_scored == 2400
    assert executor.first is not None
    assert executor.first.cancelled()
    checks_pass(world)


def test_a_worker_that_cannot_reach_the_shards_or_has_a_full_disk_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ShardStore(str(tmp_path / "here"))
    here.write("shards/probe", b"")
    assert cluster._problem(worker.versions(), here.address, "shards/probe") == ""
    assert here.names("predictions") == []
    elsewhere = str(tmp_path / "elsewhere")
    assert "Mount the folder" in cluster._problem(worker.versions(), elsewhere, "shards/probe")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 9, 1))
    assert "0 MiB are free" in cluster._problem(worker.versions(), here.address, "shards/probe")
