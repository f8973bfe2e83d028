"""A command's Prefect server: found or brought, of this home and no other, gone with the command."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prefect.settings import Settings

from flows.server.ephemeral import TEMPORARY_SERVER, prefect_environment, prefect_home, remember_server, running_server

# A command with one flow. It prints one JSON document, or the sentence of an error as `sentiment` does.
COMMAND = """
import sys, time
from pathlib import Path

from flows.server.ephemeral import connect
from sentiment.errors import SentimentError

home, seconds = Path(sys.argv[1]), float(sys.argv[2])
try:
    with connect(home) as orchestration:
        from prefect import flow, task

        @task
        def work():
            return 42

        @flow
        def inner():
            return work()

        @flow
        def outer():
            answer = inner()
            print(answer, flush=True)
            time.sleep(seconds)

        orchestration.run(outer)
except SentimentError as error:
    sys.exit(str(error))
"""


def start(home: Path, environment: dict[str, str] | None = None, seconds: float = 0.0) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(home), str(seconds)],
        cwd=home,
        env=inherited | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def states(home: Path) -> dict[str, int]:
    """How many flow and task runs are in each state, as the UI will show them."""
    with closing(sqlite3.connect(prefect_home(home) / "prefect.db")) as database:
        return {
            f"{kind} {state}": count
            for kind in ("flow", "task")
            for state, count in database.execute(f"select state_name, count(*) from {kind}_run group by 1")
        }


@pytest.mark.slow
def test_commands_at_once_on_a_fresh_home_all_work_and_print_nothing_of_prefects(tmp_path: Path) -> None:
    # What a user's shell and folder may hold: a profile, databases and a proxy that are not ours.
    foreign_database = "sqlite+aiosqlite:////nonexistent/prefect.db"
    (tmp_path / "prefect.toml").write_text(f'[server.database]\nconnection_url = "{foreign_database}"\n')
    foreign = {
        "PREFECT_PROFILE": "production",
        "PREFECT_API_DATABASE_CONNECTION_URL": foreign_database,
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "socks5://127.0.0.1:9",
    }
    commands = [start(tmp_path, foreign) for _ in range(2)]
    assert [command.communicate(timeout=120) for command in commands] == [("42\n", "")] * 2
    assert [command.returncode for command in commands] == [0, 0]
    assert states(tmp_path) == {"flow Completed": 4, "task Completed": 4}  # A subflow counts as a task, too.
    # On a busy machine the server logs that it tries again to write an event; none may be lost.
    assert not re.search(r"[1-9]\d* dropped", (tmp_path / "logs" / "prefect-server.log").read_text())
    assert "Finished in state Completed" in (tmp_path / "logs" / "prefect.log").read_text()


@pytest.mark.slow
def test_a_killed_command_leaves_no_server_and_no_run_that_seems_to_run(tmp_path: Path) -> None:
    command = start(tmp_path, seconds=60)
    assert command.stdout is not None
    assert command.stdout.readline() == "42\n"
    command.kill()
    command.communicate(timeout=30)
    give_up_at = time.monotonic() + 30
    while states(tmp_path).get("flow Running") and time.monotonic() < give_up_at:
        time.sleep(0.2)
    assert states(tmp_path)["flow Crashed"] == 1
    assert states(tmp_path)["flow Completed"] == 1


@pytest.mark.slow
def test_a_command_killed_while_its_server_starts_leaves_a_home_that_works(tmp_path: Path) -> None:
    command = start(tmp_path)
    time.sleep(2.5)
    command.kill()
    command.communicate()
    assert start(tmp_path).communicate(timeout=120) == ("42\n", "")


def test_a_damaged_database_is_said_in_a_sentence(tmp_path: Path) -> None:
    prefect_home(tmp_path).mkdir(parents=True)
    (prefect_home(tmp_path) / "prefect.db").write_text("not a database " * 1000)
    command = start(tmp_path)
    output, error = command.communicate(timeout=120)
    assert command.returncode == 1
    assert output == ""
    assert "file is not a database" in error, error
    assert "prefect-server.log" in error
    assert "Traceback" not in error


def test_an_address_of_the_user_that_does_not_answer_is_said_in_a_sentence(tmp_path: Path) -> None:
    command = start(tmp_path, {"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    _, error = command.communicate(timeout=120)
    assert command.returncode == 1
    assert "http://127.0.0.1:9/api does not answer" in error
    assert "Traceback" not in error


@contextmanager
def prefect_of(home: Path) -> Iterator[str]:
    """Something that answers as a Prefect server of `home` does when asked for its settings."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"home": str(prefect_home(home))}).encode())

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def test_the_server_of_this_home_is_found(tmp_path: Path) -> None:
    with prefect_of(tmp_path) as url:
        remember_server(tmp_path, url)
        assert running_server(tmp_path) == url


def test_a_strangers_server_on_the_remembered_port_is_not_believed(tmp_path: Path) -> None:
    with prefect_of(tmp_path / "another") as url:
        remember_server(tmp_path, url)
        assert running_server(tmp_path) is None


def test_a_remembered_server_that_is_gone_is_not_believed(tmp_path: Path) -> None:
    assert running_server(tmp_path) is None
    with prefect_of(tmp_path) as url:
        remember_server(tmp_path, url)
    assert running_server(tmp_path) is None


def test_every_variable_that_we_set_is_one_that_prefect_reads() -> None:
    # Prefect ignores a misspelt one in silence.
    known = Settings().to_environment_variables(include_aliases=True)
    ours = {*TEMPORARY_SERVER, *prefect_environment(Path("any")), "PREFECT_LOGGING_CONFIG_PATH"} - {"DO_NOT_TRACK"}
    assert ours <= set(known)
