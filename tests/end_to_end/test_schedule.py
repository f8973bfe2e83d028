"""A schedule really fires: the whole of `sentiment up`, and a run that nobody starts.

A Prefect whose scheduler fails in every loop looks healthy in every other way (it did, with SQLAlchemy 2.1), so this
must be seen and not inferred. The deployments are those of `deployments/prefect.yaml`; only the wait is shortened, by
giving `ingest` a second schedule of a few seconds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.orchestration import DIRECT, running_server

SECONDS_TO_WAIT = 120.0
TWEET = '"4","1467810369","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","someone","what a lovely morning"\n'
UP = """
from flows.up import up
from sentiment.settings import Home, load_settings

settings = load_settings()
up(Home(settings.home).create(), settings, lambda line: print(line, flush=True))
"""


@pytest.mark.timeout(300)
def test_a_scheduled_ingest_runs_without_anybody_starting_it(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "tweets.csv").write_text(TWEET)
    with running_up(tmp_path):
        api = running_server(tmp_path)
        assert api is not None
        deployment = request(f"{api}/deployments/name/ingest/ingest")["id"]
        soon = {"schedule": {"interval": 5}, "active": True}
        request(f"{api}/deployments/{deployment}/schedules", [soon])

        run = first_completed_run(api, deployment)

        assert run["auto_scheduled"]
        assert run["created_by"]["type"] == "SCHEDULE"
        with duckdb.connect(str(tmp_path / "published" / "sentiment.duckdb"), read_only=True) as snapshot:
            assert snapshot.sql("select tweet_id, text from tweets").fetchall() == [
                (1467810369, "what a lovely morning")
            ]


@contextmanager
def running_up(home: Path) -> Iterator[subprocess.Popen[str]]:
    """`sentiment up` for a home, from its `ready` line on."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SENTIMENT_"))}
    process = subprocess.Popen(
        [sys.executable, "-c", UP], env=environment | {"SENTIMENT_HOME": str(home)}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready"), line
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def first_completed_run(api: str, deployment: str) -> dict[str, Any]:
    """The first run of a deployment that completes; a run that ends in another way fails the test at once."""
    give_up_at = time.monotonic() + SECONDS_TO_WAIT
    runs: list[dict[str, Any]] = []
    while time.monotonic() < give_up_at:
        runs = request(f"{api}/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}})
        assert not [run["state"] for run in runs if run["state_type"] in ("FAILED", "CRASHED")]
        for run in runs:
            if run["state_type"] == "COMPLETED":
                return run
        time.sleep(0.5)
    raise AssertionError(f"no scheduled run has completed in {SECONDS_TO_WAIT:.0f} s: {[run['state'] for run in runs]}")


def request(address: str, body: object = None) -> Any:
    """Ask Prefect's REST API: GET, or POST when there is a body."""
    data = None if body is None else json.dumps(body).encode()
    question = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with DIRECT.open(question, timeout=30) as answer:
        return json.load(answer)
