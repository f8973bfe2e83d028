"""`sentiment up`: Prefect's server, a worker, deployments, the inbox's watcher, MLflow's pages and the API in one process tree.

For a laptop or one server, without containers: everything listens on 127.0.0.1 alone, keeps its state in the home, and
ends with Ctrl-C, SIGTERM, or the death of the supervisor (`flows.guard`). A part that ends is started again, at once
the first time and then after growing pauses. Each part writes to a log of its own in `<home>/logs`. Ports are chosen
once and kept, so that bookmarks go on working; when another program has taken one meanwhile, a new one is chosen.

Start order: MLflow, the API and the server; then the deployments; last the worker, which takes on at once whatever is late,
and whose runs would otherwise compete with all that is still starting.
Costs: ready in 30 s on two cores; about 1.5 GB in all while idle, a third of it MLflow's, a third the API's.
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
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TypeVar

from filelock import FileLock, Timeout

from flows.deploy import NOTE, PROJECT, WORK_POOL
from flows.guard import signal_group
from flows.orchestration import DIRECT, forget_server, prefect_environment, remember_server, running_server
from flows.prefect_rest import ask
from flows.proxies import reach_this_machine_directly
from sentiment.api.cross_origin import answered_hosts
from sentiment.errors import HomeError
from sentiment.locks import operation_lock
from sentiment.settings import Home, Settings

FIRST_PORTS = {"prefect": 4200, "mlflow": 5000, "api": 8000}  # Where people look for them; the next free one is taken.
SECONDS_TO_START = 120.0
SECONDS_TO_STOP = 15.0
SECONDS_BETWEEN_LOOKS = 0.5
LONGEST_PAUSE = 60.0
LOG_BYTES = 5_000_000
DAYS_OF_RUNS = 90

Say = Callable[[str], None]
T = TypeVar("T")


class Part:
    """One process of the tree, in a process group of its own, and how it is kept running."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.command = command
        self.environment = environment
        self.log = log
        self.pause = 0.0
        self.start()

    def start(self) -> None:
        """Start the process."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started_at = time.monotonic()
        self.start_again_at: float | None = None

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def keep_running(self, say: Say) -> None:
        """Start the process again if it has ended: at once, then after pauses that double while it ends early."""
        if self.is_running:
            return
        if self.start_again_at is None:
            signal_group(self.process.pid, signal.SIGKILL)  # What is left of it may hold the port.
            lived_long = time.monotonic() - self.started_at > LONGEST_PAUSE
            self.pause = 0.0 if lived_long else min(2 * self.pause + 1, LONGEST_PAUSE)
            self.start_again_at = time.monotonic() + self.pause
            say(f"{self.name} ended with status {self.process.returncode} and is started again; its log is {self.log}")
        elif time.monotonic() >= self.start_again_at:
            self.start()

    def stop(self) -> None:
        """Ask the process to end, and end by force what is left of its group."""
        if self.is_running:
            signal_group(self.process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(SECONDS_TO_STOP)
        signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Parts:
    """What runs, and the guard that ends it if this process cannot."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.parts: list[Part] = []
        self.guarded: list[int] = []
        self.guard = self._start_guard()

    def add(self, part: Part) -> Part:
        """Look after a part from now on; the part that was added last is stopped first."""
        self.parts.append(part)
        self._tell_guard()
        return part

    def keep_running(self) -> None:
        """Start again what has ended."""
        for part in self.parts:
            part.keep_running(self.say)
        if self.guard.poll() is not None:
            self.guard, self.guarded = self._start_guard(), []
        self._tell_guard()

    def stop(self) -> None:
        """End all parts, then the guard."""
        for part in reversed(self.parts):
            part.stop()
        self.parts.clear()
        self._tell_guard()
        self.guard.communicate()

    def _start_guard(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "flows.guard"]
        return subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, text=True, start_new_session=True)

    def _tell_guard(self) -> None:
        groups = [part.process.pid for part in self.parts if part.is_running]
        if groups == self.guarded:
            return
        assert self.guard.stdin is not None
        try:
            print(*groups, file=self.guard.stdin, flush=True)
        except BrokenPipeError:
            return  # The next look replaces the guard.
        self.guarded = groups


def up(home: Home, settings: Settings, say: Say) -> None:
    """Run everything until SIGINT or SIGTERM; when it runs already for this home, say where and return.

    Args:
        home: a home that has been created.
        settings: for how long to wait for another process.
        say: gets each line for the user, among them the one that begins `ready`.

    Raises:
        HomeError: the server or the deployments did not start; the message names the log.
    """
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    lock = FileLock(home.locks / "up.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        url = wait_until(
            lambda: running_server(home.root), stopping, "the server of the other `sentiment up`", home.logs
        )
        if url:
            say(ready_line(url.removesuffix("/api"), read_ports(home), " (it was running already)"))
        return
    parts = Parts(say)
    try:
        start(home, settings, parts, stopping, say)
        while not stopping.wait(SECONDS_BETWEEN_LOOKS):
            parts.keep_running()
        say("stopping")
    finally:
        forget_server(home.root)
        parts.stop()
        lock.release()


def start(home: Home, settings: Settings, parts: Parts, stopping: Event, say: Say) -> None:
    """Start the parts in their order and wait until all answer."""
    ports = choose_ports(home)
    prefect, mlflow, api = (f"http://127.0.0.1:{ports[name]}" for name in ("prefect", "mlflow", "api"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= prefect_environment(home.root) | {
        "PREFECT_API_URL": f"{prefect}/api",
        "PREFECT_SERVER_UI_API_URL": "/api",  # Else the UI looks for the API on port 4200.
        "PREFECT_WORKER_QUERY_SECONDS": "3",
        # Prefect removes old runs, with their logs and artifacts, itself; by default it keeps them for ever.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(DAYS_OF_RUNS * 24 * 3600),
        # What says that a run is under way outlives a server that is killed and started again while it goes on.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "SENTIMENT_HOME": str(home.root.resolve()),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # Eight processes, 640 MB, for evaluations of language models.
    }
    for name in reach_this_machine_directly(environment):
        say(f"{name} is not used: only proxies whose address begins http:// or https:// can be")
    python = [sys.executable, "-m"]

    def add(name: str, command: list[str]) -> Part:
        return parts.add(Part(name, [*python, *command], environment, home.logs / f"{name}.log"))

    def answers(address: str) -> Callable[[], bool]:
        return lambda: status_of(address) == 200

    with operation_lock(home, "mlflow", settings.writer_wait_seconds):  # Of two that create its database, one dies.
        subprocess.run([*python, "sentiment.mlflow_store", str(home.root)], cwd=PROJECT, env=environment, check=True)
        add("mlflow", mlflow_command(home, settings, ports["mlflow"]))
        add("api", ["flows.cli", "serve", "--port", str(ports["api"])])
        now = datetime.now(UTC).isoformat()
        add("prefect-server", ["flows.server", "permanent", "127.0.0.1", str(ports["prefect"]), now])
        wait_until(answers(f"{prefect}/api/health"), stopping, "Prefect's server", home.logs)
        if not stopping.is_set():
            deploy([*python, "flows.deploy"], environment, home.logs / "deploy.log", say)
            add("watcher", ["flows.watch", f"{prefect}/api"])
        wait_until(answers(f"{mlflow}/health"), stopping, "MLflow", home.logs)
        wait_until(answers(f"{api}/health"), stopping, "the API", home.logs)
        began = datetime.now(UTC)
        if not stopping.is_set():
            add("worker", ["prefect", "worker", "start", "--pool", WORK_POOL, "--type", "process"])
        wait_until(lambda: has_worker(f"{prefect}/api", began), stopping, "the worker", home.logs)
    if not stopping.is_set():
        remember_server(home.root, f"{prefect}/api")
        say(ready_line(prefect, ports))


def deploy(command: list[str], environment: dict[str, str], log: Path, say: Say) -> None:
    """Register the deployments; a process of its own, so that this one does not keep Prefect in memory.

    Raises:
        HomeError: Prefect refused one; the message names the log.
    """
    with log.open("wb") as output:
        done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        raise HomeError(f"The deployments could not be registered (status {done.returncode}); see {log}.")
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith(NOTE):
            say(line)


def mlflow_command(home: Home, settings: Settings, port: int) -> list[str]:
    """MLflow's pages on the home's store; artifacts are read where they are, in the home."""
    store = [
        "--backend-store-uri",
        home.mlflow_store,
        "--default-artifact-root",
        (home.mlflow / "artifacts").as_uri(),
    ]
    # MLflow compares whole headers, and by default it also answers every private network.
    hosts = [
        pattern for host in answered_hosts("127.0.0.1", settings.allowed_hosts) for pattern in header_patterns(host)
    ]
    origins = [
        f"{scheme}://{pattern}"
        for host in settings.allowed_hosts
        for pattern in header_patterns(host)
        for scheme in ("http", "https")
    ]
    pages = ["--allowed-hosts", ",".join(hosts), "--x-frame-options", "SAMEORIGIN"]
    pages += ["--cors-allowed-origins", ",".join([f"http://127.0.0.1:{port}", *origins])]
    return ["mlflow", "server", *store, *pages, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


def header_patterns(host: str) -> tuple[str, str]:
    """What `fnmatch` finds a host by in a `Host` header, without a port and with any."""
    return (f"[{host}]", f"[[]{host}]:*") if ":" in host else (host, f"{host}:*")


def ready_line(prefect: str, ports: dict[str, int], note: str = "") -> str:
    """The line that people and programs wait for."""
    mlflow, api = (f"http://127.0.0.1:{ports.get(name)}" for name in ("mlflow", "api"))
    return f"ready: Prefect {prefect}  MLflow {mlflow}  API {api}{note}"


def choose_ports(home: Home) -> dict[str, int]:
    """The home's ports: those of last time where they are free, else the next free ones; written down."""
    ports = read_ports(home)
    for name, first in FIRST_PORTS.items():
        candidates = [ports[name]] if name in ports else []
        taken = {port for other, port in ports.items() if other != name}
        candidates += [port for port in range(first, first + 1000) if port not in taken]
        ports[name] = next(port for port in candidates if is_free(port))
    (home.prefect / "ports.json").write_text(json.dumps(ports))
    return ports


def read_ports(home: Home) -> dict[str, int]:
    """The ports written down; none on a new home."""
    try:
        ports: dict[str, int] = json.loads((home.prefect / "ports.json").read_text())
    except (OSError, ValueError):
        return {}
    return ports


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def has_worker(api: str, since: datetime) -> bool:
    """Whether a worker has said since a time that it takes runs from the work pool."""
    try:
        workers = ask(f"{api}/work_pools/{WORK_POOL}/workers/filter", {"limit": 200}) or []
    except OSError:
        return False
    return any(datetime.fromisoformat(worker["last_heartbeat_time"]) >= since for worker in workers)


def status_of(address: str) -> int | None:
    """The HTTP status that an address on this machine answers with, None if nobody does."""
    try:
        with DIRECT.open(address, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def wait_until(condition: Callable[[], T], stopping: Event, what: str, logs: Path) -> T | None:
    """The condition's result as soon as it is true; None when the user wants to stop.

    Raises:
        HomeError: it did not become true in time.
    """
    give_up_at = time.monotonic() + SECONDS_TO_START
    while not stopping.is_set():
        if result := condition():
            return result
        if time.monotonic() > give_up_at:
            raise HomeError(f"{what} did not answer within {SECONDS_TO_START:.0f} seconds; the logs are in {logs}.")
        stopping.wait(0.1)
    return None
