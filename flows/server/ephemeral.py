"""Gives a command a Prefect server, so that nobody has to start one first.

A Prefect flow needs a server. `connect` finds or makes one, in this order:

1. the one in use in this process already (a worker's, or the test harness's);
2. `PREFECT_API_URL`, if the user has set it;
3. the server of *this* home, left running by `sentiment up`, asked whether it really is (`running_server`);
4. a temporary one in a process of its own (`flows.server.app`), which ends with the command, however the command ends.

Why not Prefect's own temporary server: it takes 14 s until the first line of a flow on a fresh home (7 s later on),
begins only once Prefect is imported, reads the user's `~/.prefect` profile, prints over progress bars, and outlives a
command that was killed. Ours starts at once and in parallel with the command's imports: 4 s until the first line, also
on a fresh home if `make setup` has prepared the database (9 s if not), most of which the command spends importing
anyway. So call `connect` first, import flows and check arguments inside it, and `run` last:

    with connect(home) as orchestration:
        from flows.ingest import IngestOptions, ingest

        summary = orchestration.run(ingest, IngestOptions(paths=paths))

Prefect reads its settings while it is imported, so this module imports it only after the environment is set. Nothing of
Prefect's is ever printed: its log lines go to the UI and to `<home>/logs/prefect.log`.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

from flows.server.proxies import reach_this_machine_directly
from sentiment.errors import HomeError
from sentiment.model.atomic import atomic_write
from sentiment.settings import Home

P = ParamSpec("P")
R = TypeVar("R")

SECONDS_TO_START = 90.0  # Ten times what it takes; a slow disk or eight commands at once must not fail a run.
SECONDS_TO_STOP = 10.0
SECONDS_TO_ANSWER = 5.0
BYTES_OF_SERVER_LOG = 1_000_000

# What only a server that schedules work for others needs. Kept: recording task runs and events for the UI.
TEMPORARY_SERVER = {
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_LEVEL": "ERROR",
}

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # To this machine, never through a proxy.

_ended: set[str] = set()  # Addresses of our own servers that have ended; Prefect's settings may still name them.


def prefect_environment(home: Path) -> dict[str, str]:
    """The environment variables that tie Prefect to `home`, for this process or for one that it starts."""
    return {
        "PREFECT_HOME": str(prefect_home(home)),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # deployments/automations.yaml marks a run as crashed after 90 s of silence.
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


def prefect_home(home: Path) -> Path:
    """Where Prefect keeps its database and results: inside the home, so that deleting the home deletes them."""
    return Home(home).prefect.resolve()


def running_server(home: Path) -> str | None:
    """The API address of the server that `sentiment up` runs for this home, or None.

    The address is taken from the home and believed only if the server there names this home as its own: after a crash
    the port may belong to another Prefect server.
    """
    try:
        url = str(json.loads(_address_file(home).read_text())["url"])
        with DIRECT.open(f"{url}/admin/settings", timeout=SECONDS_TO_ANSWER) as answer:
            its_home = json.load(answer)["home"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if Path(its_home) == prefect_home(home) else None


def remember_server(home: Path, url: str) -> None:
    """Write down the address of this home's server, for `running_server` in other processes."""
    path = _address_file(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as draft:
        draft.write_text(json.dumps({"url": url, "pid": os.getpid()}))


def forget_server(home: Path) -> None:
    """Remove what `remember_server` wrote."""
    _address_file(home).unlink(missing_ok=True)


@dataclass
class Orchestration:
    """A Prefect server that is there, or on its way, and how to run flows on it."""

    home: Path
    url: str
    server: TemporaryServer | None = None

    def wait(self) -> None:
        """Return once the server answers; raise `HomeError` with the reason if it cannot."""
        if self.server is not None:
            self.server.wait()
            return
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            problem = client.api_healthcheck()
        if problem is not None:
            raise HomeError(
                f"The Prefect server at {self.url} does not answer ({problem or type(problem).__name__}). "
                "Start it, or unset PREFECT_API_URL and this command brings a server of its own."
            )

    def run(self, flow: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a flow in this process and return its result; its exceptions come through unchanged."""
        with self.in_use():
            return flow(*args, **kwargs)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Wait for the server; within, Prefect talks to it, even if it was imported with other settings."""
        from prefect.settings import (
            PREFECT_API_URL,
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
            PREFECT_HOME,
            PREFECT_LOCAL_STORAGE_PATH,
            temporary_settings,
        )

        self.wait()
        if self.server is None:
            yield
            return
        # Stopping the heartbeat thread costs each flow 1.1 s. It is there to notice flows whose process died; our own
        # server sees that at once, by the closed pipe. No environment variable can say "no heartbeat".
        with temporary_settings(
            {
                PREFECT_API_URL: self.url,
                PREFECT_HOME: prefect_home(self.home),
                PREFECT_LOCAL_STORAGE_PATH: prefect_home(self.home) / "storage",
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
            }
        ):
            yield


@contextmanager
def connect(home: Path) -> Iterator[Orchestration]:
    """Find or start a Prefect server for `home`; returns at once, the server gets ready meanwhile.

    To be entered before Prefect is imported. Raises `HomeError` if the home cannot be written to.
    """
    if url := _url_in_use():
        yield Orchestration(home, url)
        return
    for name in ("PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):  # They name profiles that this home does not have.
        os.environ.pop(name, None)
    try:
        Home(home).logs.mkdir(parents=True, exist_ok=True)
        prefect_home(home).mkdir(exist_ok=True)
    except OSError as error:
        raise HomeError(f"The home {home} cannot be written to ({error.strerror}); choose another.") from error
    os.environ |= prefect_environment(home)
    os.environ["PREFECT_LOGGING_CONFIG_PATH"] = str(Path(__file__).parents[1] / "logging.yml")
    os.environ["PREFECT_LOGGING_HANDLERS_FILE_FILENAME"] = str(Home(home).logs / "prefect.log")
    reach_this_machine_directly(os.environ)
    if url := os.environ.get("PREFECT_API_URL") or running_server(home):
        os.environ["PREFECT_API_URL"] = url
        yield Orchestration(home, url)
        return
    server = TemporaryServer(home)
    if "prefect" not in sys.modules:  # Otherwise it has read its settings, and `in_use` tells it.
        os.environ["PREFECT_API_URL"] = server.url
    try:
        yield Orchestration(home, server.url, server)
    finally:
        _send_what_is_queued()
        os.environ.pop("PREFECT_API_URL", None)
        _ended.add(server.url)
        server.stop()


class TemporaryServer:
    """A Prefect server in a process of its own, which ends when this process does.

    The listening socket is opened here and handed over, so that no other process can take the port in between. The
    child holds the reading end of a pipe whose only writing end is ours: when that closes, by `stop` or by the death of
    this process in any way, the child marks the runs that it knows as crashed if they have not ended, and ends.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = Home(home).logs / "prefect-server.log"
        if self.log.exists() and self.log.stat().st_size > BYTES_OF_SERVER_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        with listener, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flows.server.app", "temporary", str(listener.fileno())],
                cwd=prefect_home(home),  # Prefect reads prefect.toml, pyproject.toml and .env where it is started.
                env=inherited | prefect_environment(home) | TEMPORARY_SERVER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C is for the command; its server has to outlive it by a moment.
            )
        self.is_ready = False

    def wait(self) -> None:
        """Return once the server answers; raise `HomeError` with its reason if it cannot."""
        if self.is_ready:
            return
        output = _pipe(self.process.stdout)
        answer = "no answer in time"
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            if selector.select(SECONDS_TO_START):
                answer = output.readline().decode().strip() or "it ended without a word"
        if answer != "ready":
            raise HomeError(
                f"Prefect's server did not start: {answer}. Its log is {self.log}. If its database is damaged, move "
                f"{prefect_home(self.home)} away: it holds the history of runs and schedules, and no tweets."
            )
        self.is_ready = True

    def stop(self) -> None:
        """End the server and wait for it."""
        _pipe(self.process.stdin).close()
        try:
            self.process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _pipe(self.process.stdout).close()


def _address_file(home: Path) -> Path:
    return prefect_home(home) / "server.json"


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _url_in_use() -> str | None:
    """The server that Prefect already uses in this process, if it is imported and has one."""
    if "prefect" not in sys.modules:
        return None
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    return url if url and url not in _ended else None


def _send_what_is_queued() -> None:
    """Prefect sends log lines and events from threads that it joins at interpreter exit, when our server is gone."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=SECONDS_TO_STOP)
    APILogWorker.drain_all(timeout=SECONDS_TO_STOP)
