"""Connects the desk with the home's Prefect server: planned, running and failed runs, and starting a deployment."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from flows.ports import mlflow_page, read_ports
from flows.server.ephemeral import running_server
from flows.server.rest import ask
from sentiment.desk.orchestration import NoOrchestration, RunOfFlow, Seen
from sentiment.errors import HomeError
from sentiment.settings import Home

SECONDS_KEPT = 5.0
DAYS_OF_FAILURES = 7
MOST_RUNS = 8


class PrefectServer:
    """The server that `sentiment up` runs for a home; its answers are cached for five seconds."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._kept: tuple[float, Seen] = (0.0, Seen())

    def look(self) -> Seen:
        """Planned, running and failed runs; None when no server runs."""
        kept_at, seen = self._kept
        if time.monotonic() - kept_at > SECONDS_KEPT or not kept_at:
            seen = Seen()
            server = running_server(self.home.root)
            if server is not None:
                with suppress(OSError):
                    seen = self._ask(server)
            self._kept = (time.monotonic(), seen)
        return seen

    def start(self, deployment: str, parameters: dict[str, Any]) -> str:
        """Start a deployment; see `sentiment.desk.orchestration.Orchestration`.

        Raises:
            HomeError: no server runs, or it does not take it.
        """
        server = running_server(self.home.root)
        if server is None:
            return NoOrchestration().start(deployment, parameters)
        try:
            found = ask(f"{server}/deployments/filter", {"deployments": {"name": {"any_": [deployment]}}})
            if not found:
                raise HomeError(f"The server has no deployment {deployment!r}. Put it there: sentiment up")
            run = ask(f"{server}/deployments/{found[0]['id']}/create_flow_run", {"parameters": parameters})
        except OSError as error:
            raise HomeError(f"Prefect's server does not start {deployment}: {error}. Try again in a moment.") from error
        return _page(server, run)

    def _ask(self, server: str) -> Seen:
        names = {row["id"]: row["name"] for row in ask(f"{server}/deployments/filter", {"limit": 100}) or []}
        planned = _runs(server, {"state": {"type": {"any_": ["SCHEDULED"]}}}, "EXPECTED_START_TIME_ASC", 200)
        first: dict[str, RunOfFlow] = {}
        for run in planned:
            if (name := names.get(run["deployment_id"])) is not None:
                first.setdefault(name, RunOfFlow(name, datetime.fromisoformat(run["expected_start_time"])))
        since = (datetime.now(UTC) - timedelta(days=DAYS_OF_FAILURES)).isoformat()
        # Subflows repeat the message of their parents.
        started = {"start_time": {"after_": since}, "parent_task_run_id": {"is_null_": True}}
        base = server.removesuffix("/api")
        ports = read_ports(self.home)
        return Seen(
            address=base,
            next_runs=sorted(first.values(), key=lambda run: run.at),
            running=[
                _seen(server, run)
                for run in _runs(server, {**started, "state": {"type": {"any_": ["RUNNING", "PENDING"]}}})
            ],
            failed=[
                _seen(server, run)
                for run in _runs(server, {**started, "state": {"type": {"any_": ["FAILED", "CRASHED"]}}})
            ],
            links={"Prefect": base, **({"MLflow": mlflow_page(ports["mlflow"])} if "mlflow" in ports else {})},
        )


def _runs(server: str, wanted: dict[str, Any], sort: str = "START_TIME_DESC", limit: int = MOST_RUNS) -> Any:
    return ask(f"{server}/flow_runs/filter", {"flow_runs": wanted, "sort": sort, "limit": limit}) or []


def _seen(server: str, run: dict[str, Any]) -> RunOfFlow:
    message = (run["state"].get("message") or run["state"]["name"]).strip()
    return RunOfFlow(
        run["name"], datetime.fromisoformat(run["start_time"]), message.split("\n")[0][:200], _page(server, run)
    )


def _page(server: str, run: dict[str, Any]) -> str:
    return f"{server.removesuffix('/api')}/runs/flow-run/{run['id']}"
