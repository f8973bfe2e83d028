"""A real PostgreSQL server for tests and benchmarks, on a free port of this machine alone.

Why not pytest-postgresql: it starts the server as the user of the tests, which PostgreSQL refuses to root, the user of most
containers; and benchmarks and simulations use this server outside of pytest.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy

PASSWORD = "not to be seen"
SECONDS_TO_START = 120.0


class NoServerError(Exception):
    """There is nothing to run a server with."""


def find_binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: in the path, or where Debian puts it."""
    candidates = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "postgres").exists()), None)


def unprivileged() -> dict[str, Any]:
    """Options for subprocess: PostgreSQL refuses to run as root.

    Raises:
        NoServerError: this is root, and there is no other user.
    """
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise NoServerError("PostgreSQL does not run as root, and there is no user postgres or nobody to run it")


@contextmanager
def postgresql_server(settings: Sequence[str] = ()) -> Iterator[str]:
    """The address of an empty PostgreSQL database, whose password is `PASSWORD`.

    Args:
        settings: of the server, `name=value`.

    Raises:
        NoServerError: PostgreSQL's server programs are not installed.
    """
    binaries = find_binaries()
    if binaries is None:
        raise NoServerError("PostgreSQL's server programs (Debian package postgresql) are not installed")
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
        all_settings = ["unix_socket_directories=", f"port={port}", *settings]
        words = [word for setting in all_settings for word in ("-c", setting)]
        server = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", *words],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        )
        try:
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
    url = sqlalchemy.make_url(address).set(password=PASSWORD)
    engine = sqlalchemy.create_engine(url)
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
