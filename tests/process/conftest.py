"""The installed command in processes of its own, in homes of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.server.ephemeral import prefect_environment, remember_server, running_server
from sentiment.settings import Home

SECONDS = 180


@dataclass(frozen=True)
class Command:
    """Runs `sentiment` in one home."""

    home: Path

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start it and return at once."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("sentiment")), *arguments],
            env=environment | {"SENTIMENT_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home.parent,
            **options,
        )

    def fails(self, *arguments: str) -> tuple[int, str]:
        """Run it to its end, which is no success: exit status and what it said."""
        process = self.start(*arguments)
        _, said = process.communicate(timeout=SECONDS)
        return process.returncode, said

    def __call__(self, *arguments: str) -> Any:
        """Run it to its end and return its JSON document."""
        process = self.start(*arguments, "--json")
        answer, said = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, said
        return json.loads(answer)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a reader of the published snapshot sees."""
        with duckdb.connect(str((self.home / "published/sentiment.duckdb").resolve()), read_only=True) as snapshot:
            return snapshot.sql(query).fetchall()


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """The command in a home that the tests of a module share, with a Prefect server left running there as by
    `sentiment up`; commands of `new_command` bring their own."""
    home = Home(tmp_path_factory.mktemp("end-to-end") / "home").create()
    home.prefect.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    server = subprocess.Popen(
        [sys.executable, "-m", "flows.server.app", "permanent", "127.0.0.1", str(port)],
        env=inherited | prefect_environment(home.root) | {"PREFECT_LOGGING_SERVER_LEVEL": "ERROR"},
        cwd=home.prefect,
    )
    try:
        remember_server(home.root, f"http://127.0.0.1:{port}/api")
        give_up_at = time.monotonic() + SECONDS
        while running_server(home.root) is None:
            assert server.poll() is None, "the server did not start"
            assert time.monotonic() < give_up_at
            time.sleep(0.2)
        yield Command(home.root)
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture
def new_command(tmp_path: Path) -> Callable[[str], Command]:
    """Makes the command in an empty home."""
    return lambda name: Command(tmp_path / name)
