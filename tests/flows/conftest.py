"""One Prefect server for all flow tests of a session, and a home of its own for each test.

The server is the one that commands bring (`flows.server.ephemeral`), in place of Prefect's own test harness: it starts
in 3 s instead of 10, ends also with a killed test run, and what users run is what is tested. Started once, never
nested; without the heartbeat, whose thread costs each flow and subflow 1.1 s.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flows.server.ephemeral import connect, prefect_environment

# Test modules import Prefect before any fixture runs. It reads its settings then, which must not be the user's own.
_session_home = TemporaryDirectory(prefix="sentiment-tests-")
os.environ.pop("PREFECT_API_URL", None)
os.environ.update(prefect_environment(Path(_session_home.name)))


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    """A temporary server that all flows of the session talk to."""
    with connect(Path(_session_home.name)) as orchestration, orchestration.in_use():
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home that flows, settings and commands take as theirs."""
    path = tmp_path / "home"
    monkeypatch.setenv("SENTIMENT_HOME", str(path))
    return path
