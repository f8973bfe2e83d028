"""The whole of `sentiment up`: a schedule really fires, what is killed comes back, and nothing is left behind.

A Prefect whose scheduler fails in every loop looks healthy in every other way (it did, with SQLAlchemy 2.1), so a
scheduled run must be seen and not inferred. The deployments are those of `deployments/prefect.yaml`; only the wait is
shortened, by giving `ingest` a second schedule of a few seconds.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import pytest

from flows.ports import listen_on_ports, read_ports
from flows.server.ephemeral import DIRECT, running_server
from sentiment.settings import Home

SECONDS_TO_WAIT = 120.0
TWEET = '"4","1467810369","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","someone","what a lovely morning"\n'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A home with a file in its inbox, and `sentiment up` for it; the tests below use it in their order.

    Its environment names a proxy, which none of its processes may ask.
    """
    home = tmp_path_factory.mktemp("up")
    (home / "inbox").mkdir()
    (home / "inbox" / "tweets.csv").write_text(TWEET)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        proxies = {"HTTP_PROXY": f"http://{address}", "https_proxy": address, "ALL_PROXY": f"socks5h://{address}"}
        with running_up(home, proxies | {name.swapcase(): value for name, value in proxies.items()}) as up:
            yield home, up
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()


@pytest.mark.timeout(300)
def test_a_scheduled_ingest_runs_without_anybody_starting_it(running: tuple[Path, subprocess.Popen[str]]) -> None:
    home, _ = running
    api = running_server(home)
    assert api is not None
    deployment = request(f"{api}/deployments/name/ingest/ingest")["id"]
    soon = {"schedule": {"interval": 10}, "active": True}
    request(f"{api}/deployments/{deployment}/schedules", [soon])

    run = first_scheduled_run(api, deployment)

    assert run["created_by"]["type"] == "SCHEDULE"
    with duckdb.connect(str(home / "published" / "sentiment.duckdb"), read_only=True) as snapshot:
        assert snapshot.sql("select tweet_id, text from tweets").fetchall() == [(1467810369, "what a lovely morning")]


@pytest.mark.timeout(300)
def test_what_is_killed_comes_back_and_nothing_outlives_the_supervisor(
    running: tuple[Path, subprocess.Popen[str]],
) -> None:
    home, up = running
    url = running_server(home)
    assert url is not None
    second = up_process(home)
    assert "it was running already" in second.communicate(timeout=60)[0]
    assert second.returncode == 0
    parts = children_of(up.pid)
    modules = [
        "flows.cli.app",
        "flows.server.app",
        "flows.server.inbox_watcher",
        "flows.server.reaper",
        "mlflow",
        "prefect",
    ]
    assert sorted(modules_of(parts.values())) == modules

    for part in parts:
        os.kill(part, signal.SIGKILL)
    wait_until(lambda: set(children_of(up.pid)).isdisjoint(parts) and len(children_of(up.pid)) == len(parts))
    with DIRECT.open(f"{url}/health", timeout=SECONDS_TO_WAIT) as answer:
        assert answer.status == 200  # Asked while the server is on its way, it answers late and not with a refusal.
    assert running_server(home) == url

    parts = children_of(up.pid)
    up.kill()
    up.wait()
    wait_until(lambda: not any(is_running(part) for part in parts))
    assert running_server(home) is None

    again = up_process(home)
    wait_until(lambda: "flows.server.app" in modules_of(children_of(again.pid).values()))
    parts = children_of(again.pid)
    again.send_signal(signal.SIGTERM)
    assert again.wait(60) == 0
    assert not any(is_running(part) for part in parts)


def test_ports_are_kept_and_not_shared_with_what_runs(tmp_path: Path) -> None:
    first, second = (Home(tmp_path / name).create() for name in ("first", "second"))
    with listening(first) as ports:
        assert len(set(ports.values())) == len(ports)
        assert read_ports(first) == ports
        with listening(second) as others:
            assert not set(ports.values()) & set(others.values())
    with listening(first) as again:
        assert again == ports
    with socket.create_server(("127.0.0.1", ports["prefect"])), listening(first) as moved:
        assert moved["prefect"] != ports["prefect"]
        assert moved["mlflow"] == ports["mlflow"]


def test_connections_send_answers_at_once(tmp_path: Path) -> None:
    """Without TCP_NODELAY, which servers do not set for sockets that are handed over, an answer waits for 40 ms."""
    for listener in listen_on_ports(Home(tmp_path / "home").create()).values():
        with listener, socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.timeout(300)
def test_two_homes_that_start_at_once_get_a_server_each(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("first", "second")]
    for home in homes:
        home.mkdir()
    with ThreadPoolExecutor() as threads, ExitStack() as all_up:
        list(threads.map(all_up.enter_context, map(running_up, homes)))
        servers = [running_server(home) for home in homes]
    assert None not in servers
    assert len(set(servers)) == len(servers)


@contextmanager
def listening(home: Home) -> Iterator[dict[str, int]]:
    """The ports of a home while it listens on them."""
    listeners = listen_on_ports(home)
    try:
        yield {name: listener.getsockname()[1] for name, listener in listeners.items()}
    finally:
        for listener in listeners.values():
            listener.close()


@contextmanager
def running_up(home: Path, variables: Mapping[str, str] = MappingProxyType({})) -> Iterator[subprocess.Popen[str]]:
    """`sentiment up` for a home, from its `ready` line on; at the end it is asked to end, if it runs, and must."""
    process = up_process(home, variables)
    try:
        assert process.stdout is not None
        notes = {f"{name} is not used" for name, value in variables.items() if value.startswith("socks")}
        assert {process.stdout.readline().partition(":")[0] for _ in notes} == notes
        assert process.stdout.readline().startswith("ready")
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def up_process(home: Path, variables: Mapping[str, str] = MappingProxyType({})) -> subprocess.Popen[str]:
    """A process of `sentiment up`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SENTIMENT_"))}
    environment = inherited | {"SENTIMENT_HOME": str(home), **variables}
    command = [Path(sys.executable).with_name("sentiment"), "up"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def first_scheduled_run(api: str, deployment: str) -> dict[str, Any]:
    """The first run of a deployment that its schedule started and that completes, not one that the landed file set off;
    any run that fails fails the test at once."""
    give_up_at = time.monotonic() + SECONDS_TO_WAIT
    runs: list[dict[str, Any]] = []
    while time.monotonic() < give_up_at:
        runs = request(f"{api}/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}})
        assert not [run["state"] for run in runs if run["state_type"] in ("FAILED", "CRASHED")]
        for run in runs:
            if run["state_type"] == "COMPLETED" and run["auto_scheduled"]:
                return run
        time.sleep(0.5)
    raise AssertionError(f"no scheduled run has completed in {SECONDS_TO_WAIT:.0f} s: {[run['state'] for run in runs]}")


def request(address: str, body: object = None) -> Any:
    """Ask Prefect's REST API: GET, or POST when there is a body; as Prefect's own client, again when it is too busy."""
    data = None if body is None else json.dumps(body).encode()
    question = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    give_up_at = time.monotonic() + 30
    while True:
        try:
            with DIRECT.open(question, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > give_up_at:
                raise AssertionError(f"{address}: {error} {error.read().decode()}") from error
        time.sleep(1)


def children_of(parent: int) -> dict[int, str]:
    """Process ids and command lines of the children that run."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = (line.split(None, 3) for line in listed.stdout.splitlines())
    return {int(pid): args for pid, ppid, stat, args in rows if int(ppid) == parent and not stat.startswith("Z")}


def modules_of(commands: Iterable[str]) -> list[str]:
    """The module that each command line runs."""
    return [command.partition(" -m ")[2].split()[0] for command in commands]


def is_running(process: int) -> bool:
    """Whether a process of that id is there and not only waiting to be reaped."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state.strip()) and not state.startswith("Z")


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS_TO_WAIT) -> None:
    """Return as soon as the condition holds; fail the test if it never does."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, f"did not happen within {seconds:.0f} s"
        time.sleep(0.3)
