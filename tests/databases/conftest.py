"""A real PostgreSQL for a session of tests, started on a free port of this machine alone; skipped where there is none."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

PASSWORD = "not to be seen"
SECONDS_TO_START = 120.0


def find_binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: in the path, or where Debian puts it."""
    candidates = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "postgres").exists()), None)


def unprivileged() -> dict[str, Any]:
    """Options for subprocess: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody to run it")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of an empty PostgreSQL database, whose password is in PGPASSWORD."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server programs (Debian package postgresql) are not installed")
    pytest.importorskip("psycopg", reason="psycopg 3 is not installed")
    options = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="sentiment-postgresql-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    try:
        (folder / "password").write_text(PASSWORD)
        if options:
            for path in (folder, folder / "password"):
                os.chown(path, options["user"], options["group"])
        made = [
            "--auth=scram-sha-256",
            f"--pwfile={folder}/password",
            "--username=tester",
            "--encoding=UTF8",
            "--no-sync",
        ]
        subprocess.run(
            [binaries / "initdb", "-D", folder / "data", *made], check=True, capture_output=True, cwd=folder, **options
        )
        settings = ["unix_socket_directories=", "max_wal_size=1GB", "fsync=off", f"port={port}"]
        server = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", *(word for setting in settings for word in ("-c", setting))],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        )
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PGPASSWORD", PASSWORD)
                address = f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
                wait_for(address, server)
                yield address
        finally:
            server.terminate()
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Return once the server answers."""
    engine = sqlalchemy.create_engine(address)
    give_up_at = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            engine.connect().close()
            engine.dispose()
            return
        except sqlalchemy.exc.OperationalError:
            if server.poll() is not None or time.monotonic() > give_up_at:
                raise
            time.sleep(0.1)


class Target:
    """A database to publish to, and what stands in it."""

    def __init__(self, address: str, schema: str | None) -> None:
        self.address = address
        self.schema = schema
        self.engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.pool.NullPool)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds; `{}` stands for the schema with its dot."""
        with self.engine.connect() as connection:
            found = connection.execute(sqlalchemy.text(query.format(f"{self.schema}." if self.schema else "")))
            return [tuple(row) for row in found]

    def do(self, statement: str) -> None:
        """Change something there, as somebody else would."""
        with self.engine.begin() as connection:
            connection.execute(sqlalchemy.text(statement.format(f"{self.schema}." if self.schema else "")))


_numbers = count()


@pytest.fixture
def postgresql_target(postgresql: str) -> Target:
    """A schema of its own in PostgreSQL."""
    return Target(postgresql, f"schema_{next(_numbers)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """An empty database of each kind."""
    if request.param == "postgresql":
        found: Target = request.getfixturevalue("postgresql_target")
        return found
    return Target(f"sqlite:///{tmp_path}/target.db", None)


@pytest.fixture
def predict(rows_of: Callable) -> Callable[..., None]:
    """Writes predictions of a version for all tweets without one, and shows them to readers."""

    def predict(home: Any, version: int = 1, probability: float = 0.75) -> None:
        label = "positive" if probability >= 0.5 else "negative"
        rows_of(
            home,
            f"insert into predictions select tweet_id, {version}, {probability}, '{label}', now(), 'run' from tweets "
            f"where tweet_id not in (select tweet_id from predictions where model_version = {version})",
        )
        rows_of(home, "delete from published_model")
        rows_of(home, f"insert into published_model values ({version}, now())")

    return predict
