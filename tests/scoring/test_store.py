"""Shards in a folder and in object storage: whole files, patience with a store that is away, sentences for a refusal."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from sentiment.maintenance.retention import keep_house
from sentiment.object_store import StoreError
from sentiment.registry.client import Registry
from sentiment.scoring.store import ShardStore
from sentiment.settings import Home

SECONDS_AWAY = 8.0


def exercise(store: ShardStore) -> None:
    assert store.names("shards") == []
    store.write("shards/one.parquet", b"first")
    store.write("shards/one.parquet", b"second")
    store.write("shards/two.parquet", b"")
    assert store.read("shards/one.parquet") == b"second"
    assert store.names("shards") == ["shards/one.parquet", "shards/two.parquet"]
    assert (store.exists("shards/one.parquet"), store.exists("shards/three.parquet")) == (True, False)
    store.remove("shards/one.parquet")
    store.remove("shards/one.parquet")
    assert store.names("shards") == ["shards/two.parquet"]
    with pytest.raises(FileNotFoundError):
        store.read("shards/one.parquet")


def test_a_folder_holds_whole_files(tmp_path: Path) -> None:
    exercise(ShardStore(str(tmp_path / "store")))


@pytest.mark.slow
def test_a_bucket_holds_whole_files(s3: tuple[str, object]) -> None:
    exercise(ShardStore(s3[0]))


def test_a_store_that_is_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ShardStore(str(tmp_path))
    store.write("one.parquet", b"content")
    attempts: list[str] = []

    class Away:
        def open_input_file(self, path: str) -> object:
            attempts.append(path)
            if len(attempts) < 4:
                raise OSError("AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 7, Couldn't connect")
            return LocalFileSystem().open_input_file(path)

    monkeypatch.setattr(store, "filesystem", Away())
    assert store.read("one.parquet") == b"content"
    assert len(attempts) == 4


@pytest.mark.slow
def test_a_store_that_stays_away_and_a_missing_bucket_are_sentences(
    s3: tuple[str, subprocess.Popen[bytes]],
) -> None:
    address, server = s3
    with pytest.raises(StoreError, match="Check the address, the keys"):
        ShardStore(address.replace("s3://shards", "s3://nowhere"), patience=1).write("shards/one.parquet", b"content")
    server.kill()
    server.wait()
    with pytest.raises(StoreError, match="what was finished is kept"):
        ShardStore(address, patience=1).write("shards/one.parquet", b"content")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    store = ShardStore(str(tmp_path / "store"))
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(StoreError, match="Permission denied"):
        store.write("shards/one.parquet", b"content")


def test_a_full_disk_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    store = ShardStore(str(tmp_path / "store"), patience=0)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(StoreError, match=r"The disk that holds .*store is full"):
        store.write("shards/one.parquet", b"content")


def with_shards(home: Home, address: str) -> Home:
    return dataclasses.replace(home, settings=home.settings.model_copy(update={"shards": address}))


@pytest.mark.slow
def test_the_whole_loop_runs_over_a_bucket(
    s3: tuple[str, object], score: Callable, world: Home, rows_of: Callable, checks_pass: Callable
) -> None:
    assert score(with_shards(world, s3[0])).count_scored == 2400
    assert ShardStore(s3[0]).names("shards") == ShardStore(s3[0]).names("predictions") == []
    checks_pass(world)


@pytest.mark.slow
def test_a_bucket_that_is_away_in_the_middle_is_waited_for(
    s3: tuple[str, subprocess.Popen[bytes]], score: Callable, world: Home, checks_pass: Callable
) -> None:
    address, server = s3
    away: list[float] = []

    def stop(done: int, total: int) -> None:
        if not away:
            away.append(time.monotonic())
            server.send_signal(signal.SIGSTOP)
            threading.Timer(SECONDS_AWAY, server.send_signal, [signal.SIGCONT]).start()

    assert score(with_shards(world, address), chunk_rows=300, on_progress=stop).count_scored == 2400
    assert time.monotonic() - away[0] > SECONDS_AWAY
    checks_pass(world)


@pytest.mark.slow
def test_housekeeping_empties_a_bucket_that_a_killed_run_left(
    s3: tuple[str, object], world: Home, registry: Registry
) -> None:
    store = ShardStore(s3[0])
    for name in ("shards/a.parquet", "predictions/b.parquet", "models/c/model.safetensors"):
        store.write(name, b"content")
    assert keep_house(with_shards(world, s3[0]), registry).count_files == 3
    assert [store.names(folder) for folder in ("shards", "predictions", "models")] == [[], [], []]


@pytest.mark.slow
def test_a_key_without_rights_is_a_sentence_at_once(
    s3_with_rights: Callable[..., str], score: Callable, world: Home
) -> None:
    address = s3_with_rights("s3:ListBucket", "s3:GetObject")
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"ACCESS_DENIED.*Check the address, the keys and the rights"):
        score(with_shards(world, address))
    assert time.monotonic() - started < 60
