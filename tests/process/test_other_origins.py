"""Pages of other origins against the servers as they are started, by requests and by a real browser.

One home, four servers: Prefect's as `sentiment up` starts it and as a single command does, the API, and MLflow's pages. They
know one more name, `trusted.example`: what a page under that name can do proves that the others' attempts could succeed.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as open_socket

from flows.server.ephemeral import TemporaryServer, prefect_environment
from flows.server.supervisor import mlflow_command
from sentiment.settings import Home, Settings
from tests.process.foreign_origins import (
    CHROMIUM,
    OTHER_SITE,
    REBOUND,
    RELAY,
    TRUSTED,
    attacker_before,
    tried,
)

SECONDS = 120
SERVERS = ("prefect", "temporary", "api", "mlflow")
PLANTED = "planted-ATTEMPT"
TARGETS: dict[str, dict[str, Any]] = {
    "prefect": {"read": "/api/health", "write": "/api/flows/", "body": {"name": PLANTED}, "socket": "/api/events/out"},
    "api": {"read": "/health", "write": "/predict", "body": {"text": PLANTED}},
    "mlflow": {"read": "/", "write": "/api/2.0/mlflow/experiments/create", "body": {"name": PLANTED}},
}
TARGETS["temporary"] = TARGETS["prefect"]
browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


@dataclass(frozen=True)
class Servers:
    """Their addresses by name, and how to ask them as programs do."""

    urls: dict[str, str]
    pool: urllib3.PoolManager

    def status(
        self, name: str, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: Any = None
    ) -> int:
        """The status of a request."""
        return self.pool.request(method, self.urls[name] + path, headers=headers or {}, json=body).status

    def planted(self, name: str) -> set[str]:
        """What attempts have left behind in a server."""
        if name == "api":
            lines = self.pool.request("GET", f"{self.urls[name]}/metrics").data.decode()
            found = re.findall(
                r'^sentiment_requests_total\{path="(/\w*)",status="\d+"\} (\S+)', lines, flags=re.MULTILINE
            )
            return {f"{path} {count}" for path, count in found if path in ("/", "/predict")}
        path, key = (
            ("/api/2.0/mlflow/experiments/search", "experiments") if name == "mlflow" else ("/api/flows/filter", "")
        )
        found = self.pool.request("POST", self.urls[name] + path, json={"max_results": 1000} if key else {}).json()
        return {row["name"] for row in (found[key] if key else found)} - {"Default"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """All four, started side by side."""
    home = Home(tmp_path_factory.mktemp("origins") / "home", Settings(allowed_hosts=(TRUSTED,))).create()
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in ("prefect", "api", "mlflow")}
    ports = {name: listener.getsockname()[1] for name, listener in listeners.items()}
    python = [sys.executable, "-m"]
    commands = {
        "prefect": ["flows.server.app", "handed-over", datetime.now(UTC).isoformat()],
        "api": ["flows.cli.app", "serve", "--port", str(ports["api"])],
        "mlflow": mlflow_command(home, ports["mlflow"]),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = inherited | prefect_environment(home.root)
    environment |= {"SENTIMENT_HOME": str(home.root), "SENTIMENT_ALLOWED_HOSTS": TRUSTED}
    environment |= {"PREFECT_LOGGING_SERVER_LEVEL": "ERROR", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    subprocess.run([*python, "sentiment.registry.store", str(home.root)], env=environment, check=True)
    with ExitStack() as stack:
        for name, command in commands.items():
            with (home.logs / f"{name}.log").open("wb") as log, listeners[name] as listener:
                process = subprocess.Popen(
                    [*python, *command],
                    env=environment,
                    stdin=listener.fileno(),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            stack.callback(end, process)
        temporary_home = Home(tmp_path_factory.mktemp("origins") / "home").create()
        temporary = TemporaryServer(temporary_home.root)
        stack.callback(temporary.stop)
        temporary.wait()
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        found = Servers(urls | {"temporary": temporary.url.removesuffix("/api")}, urllib3.PoolManager(retries=False))
        for name in commands:
            wait_for(found, name)
        yield found


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and what it has started."""
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(SECONDS)


def wait_for(servers: Servers, name: str) -> None:
    """Return as soon as a server answers."""
    give_up_at = time.monotonic() + SECONDS
    while True:
        try:
            assert servers.status(name, TARGETS[name]["read"]) == 200
            return
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < give_up_at, f"{name} does not answer"
            time.sleep(0.2)


@pytest.mark.parametrize("name", SERVERS)
class TestRequests:
    def test_programs_are_answered(self, servers: Servers, name: str) -> None:
        assert servers.status(name, TARGETS[name]["read"]) == 200
        for host in ("localhost", "127.0.0.1:1", "[::1]:1"):
            assert servers.status(name, TARGETS[name]["read"], headers={"Host": host}) == 200

    @pytest.mark.parametrize("host", ["evil.example", "10.0.0.5", "127.0.0.1.evil.example"])
    def test_foreign_hosts_are_refused(self, servers: Servers, name: str, host: str) -> None:
        port = servers.urls[name].rpartition(":")[2]
        assert servers.status(name, TARGETS[name]["read"], headers={"Host": f"{host}:{port}"}) == 403

    @pytest.mark.parametrize("origin", ["https://evil.example", "null"])
    def test_foreign_origins_change_nothing(self, servers: Servers, name: str, origin: str) -> None:
        before = servers.planted(name)
        target = TARGETS[name]
        assert servers.status(name, target["write"], "POST", {"Origin": origin}, target["body"]) == 403
        preflight = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
        answer = servers.pool.request("OPTIONS", servers.urls[name] + target["write"], headers=preflight)
        assert answer.status in (400, 403)
        assert "access-control-allow-origin" not in answer.headers
        assert servers.planted(name) == before

    def test_nobody_shows_it_in_a_frame(self, servers: Servers, name: str) -> None:
        answer = servers.pool.request("GET", servers.urls[name] + TARGETS[name]["read"])
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers.get("access-control-allow-origin", servers.urls[name]) == servers.urls[name]


@pytest.mark.parametrize("name", ["prefect", "temporary"])
@pytest.mark.parametrize(
    "path", ["/api/events/out", "/api/events/in", "/api/logs/out", "/api/task_runs/subscriptions/scheduled"]
)
def test_websockets_are_for_programs_and_own_pages(servers: Servers, name: str, path: str) -> None:
    address = servers.urls[name].replace("http", "ws") + path
    for origin in (None, servers.urls[name]):
        with open_socket(address, origin=origin, proxy=None, subprotocols=["prefect"]):  # type: ignore[arg-type, list-item]
            pass
    for origin in ("http://evil.example", "null", "http://127.0.0.1:3000"):
        with pytest.raises(InvalidStatus) as refused:
            open_socket(address, origin=origin, proxy=None)  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403


@browser
class TestBrowser:
    """`planted` names what the page tried to make, once with `fetch` and JSON and once blindly; none of it may be there."""

    def targets(self, servers: Servers, case: str, *names: str) -> dict[str, dict[str, Any]]:
        """What a page tries, with names of its own for what it makes."""
        return {
            name: TARGETS[name]
            | {"url": servers.urls[name], "body": dict.fromkeys(TARGETS[name]["body"], f"{case}-ATTEMPT")}
            for name in names
        }

    def test_a_page_of_another_site_reaches_nothing_but_may_link(self, servers: Servers, tmp_path: Path) -> None:
        before = {name: servers.planted(name) for name in SERVERS}
        targets = self.targets(servers, "other-site", *SERVERS)
        with (
            attacker_before([]) as attacker,
            tried(attacker, OTHER_SITE, targets, tmp_path, then=servers.urls["api"] + "/") as found,
        ):
            nothing = {"read": "blocked", "json": "blocked"}
            assert found == {
                "prefect": nothing | {"socket": "refused"},
                "temporary": nothing | {"socket": "refused"},
                "api": nothing,
                "mlflow": nothing,
            }
            for name in ("prefect", "temporary", "mlflow"):
                assert servers.planted(name) == before[name]
            give_up_at = time.monotonic() + SECONDS
            while (now := servers.planted("api")) == before["api"]:
                assert time.monotonic() < give_up_at, "the link was not followed"
                time.sleep(0.1)
            assert {line.split()[0] for line in now - before["api"]} == {"/"}

    def test_a_page_of_another_program_of_this_machine_reaches_nothing(self, servers: Servers, tmp_path: Path) -> None:
        names = ("prefect", "temporary", "api")  # MLflow takes all pages of this machine for its own.
        before = {name: servers.planted(name) for name in names}
        targets = self.targets(servers, "other-port", *names)
        with attacker_before([]) as attacker, tried(attacker, "127.0.0.1", targets, tmp_path) as found:
            assert {tuple(outcome.values()) for outcome in found.values()} <= {
                ("blocked", "blocked"),
                ("blocked", "blocked", "refused"),
            }
            assert {name: servers.planted(name) for name in names} == before

    @pytest.mark.parametrize("name", SERVERS)
    def test_a_rebound_name_gets_403_where_a_trusted_one_may_do_all(
        self, servers: Servers, name: str, tmp_path: Path
    ) -> None:
        try:
            attacking = attacker_before([int(servers.urls[name].rpartition(":")[2])])
            with attacking as attacker:
                before = servers.planted(name)
                outcomes = {}
                for host in (REBOUND, TRUSTED):
                    url = servers.urls[name].replace("127.0.0.1", host)
                    targets = {name: self.targets(servers, host, name)[name] | {"url": url}}
                    with tried(attacker, host, targets, tmp_path / host) as found:
                        outcomes[host] = found[name]
                        if host == REBOUND:
                            assert servers.planted(name) == before
        except OSError as error:
            pytest.skip(f"nothing can listen on {RELAY} here ({error})")
        socket_of = {REBOUND: {"socket": "refused"}, TRUSTED: {"socket": "open"}} if "socket" in TARGETS[name] else {}
        assert outcomes[REBOUND] == {"read": 403, "json": 403} | socket_of.get(REBOUND, {})
        if name == "temporary":  # It is there for one command, on this machine.
            assert outcomes[TRUSTED] == outcomes[REBOUND]
            return
        status = {"api": 503, "mlflow": 200}.get(name, 201)  # The API has no model to answer with.
        assert outcomes[TRUSTED] == {"read": 200, "json": status} | socket_of.get(TRUSTED, {})
        planted = servers.planted(name) - before
        if name == "api":
            assert {line.split()[0] for line in planted} == {"/", "/predict"}
        else:
            assert {f"{TRUSTED}-json"} <= planted <= {f"{TRUSTED}-json", f"{TRUSTED}-blind"}


def test_the_assistant_of_mlflow_is_off(servers: Servers) -> None:
    assistant = "/ajax-api/3.0/mlflow/assistant"
    for method, path in (("GET", "/config"), ("PUT", "/config"), ("POST", "/message"), ("POST", "/skills/install")):
        assert servers.status("mlflow", assistant + path, method, body={}) == 404
    page = servers.pool.request("GET", servers.urls["mlflow"]).data.decode()
    assert 'localStorage.setItem("mlflow.assistant.panelOpen_v1", "false")' in page
    assert 'src="static-files/' in page
