"""The same tasks in this process, in a pool and on a Dask cluster: the same predictions, each once, also after kills."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sentiment.maintenance.doctor import check_cluster
from sentiment.scoring import cluster, worker
from sentiment.scoring.store import ShardStore, StoreError
from sentiment.scoring.worker import ModelFiles, ShardTask, WorkerError
from sentiment.scoring.workers import ClusterError
from sentiment.settings import Home

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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def dask_cluster(repository: Path, tmp_path: Path) -> Iterator[tuple[str, Callable[[], subprocess.Popen[bytes]], Any]]:
    """Address of a scheduler, a function that starts a worker, and the scheduler's process."""
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    address = f"tcp://127.0.0.1:{free_port()}"
    environment = os.environ | {
        "DASK_CONFIG": str(repository / "deployments" / "dask.yaml"),
        "PYTHONPATH": str(repository),
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    def start_worker() -> subprocess.Popen[bytes]:
        return start("dask_worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path))

    scheduler = start("dask_scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard")
    try:
        yield address, start_worker, scheduler
    finally:
        for process in started:
            if process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
            process.wait()


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
    dask_cluster: Any,
) -> None:
    address, start_worker, _ = dask_cluster
    first = start_worker()
    start_worker()
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
        assert cluster.version_problems(client) == []
        assert cluster.setup_problems(client) == []
    found = [
        finding for finding in check_cluster(with_settings(world, scheduler=address)) if finding.check == "cluster"
    ]
    assert [(finding.is_well, finding.remedy) for finding in found] == [(True, "")]
    # The model stays for the next run, nothing else does.
    assert {path.parent.parent.name for path in (world.work / "scoring").rglob("*") if path.is_file()} == {"models"}


@pytest.mark.slow
def test_a_lost_scheduler_ends_the_run_with_a_sentence_and_the_next_one_goes_on(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable, dask_cluster: Any
) -> None:
    address, start_worker, scheduler = dask_cluster
    start_worker()
    with pytest.raises(ClusterError, match="was committed is kept"):
        score(with_settings(world, scheduler=address), chunk_rows=100, on_progress=lambda done, total: scheduler.kill())
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
        store.address, "shards/one.parquet", hashlib.sha256(content).hexdigest(), files, 1000, 2, worker.versions()
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
