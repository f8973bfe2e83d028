"""Faults of Prefect's side, planted on a real server: the doctor finds each, and the commands it gives fix it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

from flows.server.ephemeral import remember_server
from flows.server.health import check_automations, check_deployments, check_server, check_work_pool
from flows.server.rest import ask
from sentiment.maintenance.doctor import Finding
from sentiment.settings import Home

ROOT = Path(__file__).parents[2]


def follow(finding: Finding) -> None:
    """Run the command in a shell, in the checkout, as a user does who has activated the virtual environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        finding.remedy,
        shell=True,
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_missing_pool_missing_deployments_and_a_paused_schedule_are_found_and_fixed() -> None:
    server = str(get_current_settings().api.url)
    (finding,) = check_work_pool(server)
    assert finding.found == "there is no work pool sentiment, so no run starts"
    follow(finding)
    (finding,) = check_work_pool(server)
    assert finding.found.startswith("no worker takes runs")
    ask(f"{server}/work_pools/sentiment/workers/heartbeat", {"name": "test"})
    assert [finding.is_well for finding in check_work_pool(server)] == [True]

    assert not all(finding.is_well for finding in check_automations(server))
    finding = next(iter(check_deployments(server)))
    assert finding.found.startswith("not deployed: housekeeping, ingest, ")
    follow(finding)
    assert [finding.is_well for finding in check_deployments(server)] == [True]
    assert list(check_automations(server)) == []

    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("retrain/retrain")
        client.update_deployment_schedule(deployment.id, deployment.schedules[0].id, active=False)
    (finding,) = check_deployments(server)
    assert finding.found == "a schedule of retrain is paused"
    follow(finding)
    assert [finding.is_well for finding in check_deployments(server)] == [True]


def test_a_server_that_was_killed_is_told_from_one_that_was_never_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (finding,) = check_server(Home(tmp_path))
    assert finding.is_well
    remember_server(tmp_path, "http://127.0.0.1:9/api")
    (finding,) = check_server(Home(tmp_path))
    assert (finding.is_well, finding.remedy) == (False, "sentiment up")
