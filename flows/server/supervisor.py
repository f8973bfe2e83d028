"""`sentiment up`: Prefect's server, a worker, deployments, the inbox's watcher, MLflow's pages and the API in one process tree.

For a laptop or one server, without containers: everything listens on 127.0.0.1 alone, keeps its state in the home, and
ends with Ctrl-C, SIGTERM, or the death of the supervisor (`flows.server.reaper`). A part that ends is started again, at once
the first time and then after growing pauses. Each part writes to a log of its own in `<home>/logs`. Ports are chosen
once and kept, so that bookmarks go on working; when another program has taken one meanwhile, a new one is chosen.

Start order: MLflow, the API and the server; then the deployments; last the worker, which starts late runs at once. Earlier,
they would compete with everything that is still starting.
Costs: ready in 30 s on two cores; about 1.5 GB in all while idle, a third of it MLflow's, a third the API's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from threading import Event
from typing import TypeVar

from filelock import FileLock, Timeout

from flows.ports import desk_page, listen_on_ports, mlflow_page, read_ports
from flows.server.deploy import NOTE, PROJECT, WORK_POOL
from flows.server.ephemeral import DIRECT, forget_server, prefect_environment, remember_server, running_server
from flows.server.processes import Part, Parts, Say
from flows.server.proxies import reach_this_machine_directly
from flows.server.rest import ask
from sentiment.cross_origin import answered_hosts
from sentiment.errors import HomeError
from sentiment.settings import Home
from sentiment.warehouse.locks import operation_lock, sign

SECONDS_TO_START = 120.0
SECONDS_BETWEEN_LOOKS = 0.5
DAYS_OF_RUNS = 90

T = TypeVar("T")


def up(home: Home, say: Say) -> None:
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
    # The other one may be on its way up, or down: then this one takes its place.
    url = wait_until(
        lambda: taken(lock) or running_server(home.root), stopping, "the server of the other `sentiment up`", home.logs
    )
    if not lock.is_locked:
        if url:
            say(ready_line(str(url).removesuffix("/api"), read_ports(home), " (it was running already)"))
        return
    sign(home.locks / "up.lock")
    parts = Parts(say)
    try:
        start(home, parts, stopping, say)
        while not stopping.wait(SECONDS_BETWEEN_LOOKS):
            parts.keep_running()
        say("stopping")
    finally:
        forget_server(home.root)
        parts.stop()
        lock.release()


def taken(lock: FileLock) -> bool:
    """Whether the lock is ours now."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def start(home: Home, parts: Parts, stopping: Event, say: Say) -> None:
    """Start the parts in their order and wait until all answer."""
    listeners = listen_on_ports(home)
    ports = {name: listener.getsockname()[1] for name, listener in listeners.items()}
    prefect, mlflow, api = (f"http://127.0.0.1:{ports[name]}" for name in ("prefect", "mlflow", "api"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= prefect_environment(home.root) | {
        "PREFECT_API_URL": f"{prefect}/api",
        "PREFECT_SERVER_UI_API_URL": "/api",  # Else the UI looks for the API on port 4200.
        "PREFECT_WORKER_QUERY_SECONDS": "3",
        # Prefect removes old runs, with their logs and artifacts, itself; by default it never does.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(DAYS_OF_RUNS * 24 * 3600),
        # Keep concurrency slots of running flows when the server is killed and restarted.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "SENTIMENT_HOME": str(home.root.resolve()),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # Eight processes, 640 MB, for evaluations of language models.
    }
    for name in reach_this_machine_directly(environment):
        say(f"{name} is not used: only proxies whose address begins http:// or https:// can be")
    python = [sys.executable, "-m"]

    def add(name: str, command: list[str], listener: socket | None = None) -> Part:
        return parts.add(Part(name, [*python, *command], environment, home.logs / f"{name}.log", listener))

    def answers(address: str) -> Callable[[], bool]:
        return lambda: status_of(address) == 200

    with operation_lock(home, "mlflow"):  # If two processes create its database, one of them fails.
        subprocess.run([*python, "sentiment.registry.store", str(home.root)], cwd=PROJECT, env=environment, check=True)
        add("mlflow", mlflow_command(home, ports["mlflow"]), listeners["mlflow"])
        add("api", ["flows.cli.app", "serve", "--port", str(ports["api"])], listeners["api"])
        now = datetime.now(UTC).isoformat()
        add("prefect-server", ["flows.server.app", "handed-over", now], listeners["prefect"])
        wait_until(answers(f"{prefect}/api/health"), stopping, "Prefect's server", home.logs)
        if not stopping.is_set():
            deploy([*python, "flows.server.deploy"], environment, home.logs / "deploy.log", say)
            add("watcher", ["flows.server.inbox_watcher", f"{prefect}/api"])
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


def mlflow_command(home: Home, port: int) -> list[str]:
    """MLflow's pages on the home's store; artifacts are read where they are, in the home."""
    store = [
        "--backend-store-uri",
        home.mlflow_store,
        "--default-artifact-root",
        (home.mlflow / "artifacts").as_uri(),
    ]
    # MLflow compares whole headers, and by default it also answers every private network.
    hosts = [
        pattern
        for host in answered_hosts("127.0.0.1", home.settings.allowed_hosts)
        for pattern in header_patterns(host)
    ]
    origins = [
        f"{scheme}://{pattern}"
        for host in home.settings.allowed_hosts
        for pattern in header_patterns(host)
        for scheme in ("http", "https")
    ]
    pages = ["--allowed-hosts", ",".join(hosts), "--x-frame-options", "SAMEORIGIN"]
    pages += ["--cors-allowed-origins", ",".join([f"http://127.0.0.1:{port}", *origins])]
    pages += ["--app-name", "sentiment", "--workers", "1"]
    pages += ["--uvicorn-opts", "--fd 0"]  # The listening socket is its standard input.
    return ["mlflow", "server", *store, *pages, "--host", "127.0.0.1", "--port", str(port)]


def header_patterns(host: str) -> tuple[str, str]:
    """Patterns of `fnmatch` for a host in a `Host` header, without a port and with any."""
    return (f"[{host}]", f"[[]{host}]:*") if ":" in host else (host, f"{host}:*")


def ready_line(prefect: str, ports: dict[str, int], note: str = "") -> str:
    """The line that says everything is ready."""
    desk, mlflow = desk_page(ports.get("api")), mlflow_page(ports.get("mlflow"))
    return f"ready: desk {desk}  Prefect {prefect}  MLflow {mlflow}{note}"


def has_worker(api: str, since: datetime) -> bool:
    """Whether a worker of the work pool has sent a heartbeat since a time."""
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
    """Wait until the condition is true and return its result; None when the user wants to stop.

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
