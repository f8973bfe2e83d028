"""Shards in a folder and in object storage: whole files, patience with a store that is away, sentences for a refusal."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from sentiment.scoring.store import ShardStore, StoreError

# Another interpreter may have it: moto brings packages that this project does not want.
MOTO = os.environ.get("MOTO_PYTHON", sys.executable)


def start_s3(port: int) -> subprocess.Popen[bytes]:
    """A server that speaks S3, in memory."""
    process = subprocess.Popen(
        [MOTO, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.1)
    process.kill()
    raise RuntimeError("moto did not start")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int, list[subprocess.Popen[bytes]]]]:
    """Address of a bucket, its port, and the process of the server."""
    if subprocess.run([MOTO, "-c", "import moto.server"], capture_output=True, check=False).returncode != 0:
        pytest.skip("moto[server] is not installed; MOTO_PYTHON names an interpreter that has it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    servers = [start_s3(port)]
    options = f"?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
    try:
        from pyarrow import fs

        fs.FileSystem.from_uri(f"s3://shards/{options}&allow_bucket_creation=true")[0].create_dir("shards")
        yield f"s3://shards/prefix{options}", port, servers
    finally:
        for server in servers:
            server.kill()
            server.wait()


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


def test_a_bucket_holds_whole_files(s3: tuple[str, int, object]) -> None:
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


def test_a_store_that_stays_away_and_a_missing_bucket_are_sentences(
    s3: tuple[str, int, list[subprocess.Popen[bytes]]],
) -> None:
    address, _, servers = s3
    with pytest.raises(StoreError, match="Check the address, the keys"):
        ShardStore(address.replace("s3://shards", "s3://nowhere"), patience=1).write("shards/one.parquet", b"content")
    servers[0].kill()
    servers[0].wait()
    with pytest.raises(StoreError, match="what was finished is kept"):
        ShardStore(address, patience=1).write("shards/one.parquet", b"content")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    store = ShardStore(str(tmp_path / "store"))
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(StoreError, match="Permission denied"):
        store.write("shards/one.parquet", b"content")


def test_the_whole_loop_runs_over_a_bucket(
    s3: tuple[str, int, object], score: Callable, world: object, rows_of: Callable, checks_pass: Callable
) -> None:
    import dataclasses

    from sentiment.settings import Home

    assert isinstance(world, Home)
    at_work = dataclasses.replace(world, settings=world.settings.model_copy(update={"shards": s3[0]}))
    assert score(at_work).count_scored == 2400
    assert ShardStore(s3[0]).names("shards") == ShardStore(s3[0]).names("predictions") == []
    checks_pass(world)
