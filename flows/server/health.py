"""Checks the home's Prefect server, for `sentiment doctor`; `sentiment.maintenance.doctor` checks the rest.

The server is asked over its REST API (`flows.server.rest`): Prefect takes longer to import than all checks together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import yaml

from flows.server.deploy import AUTOMATIONS, DEPLOYMENTS, PROJECT, WORK_POOL
from flows.server.ephemeral import prefect_home, running_server
from flows.server.rest import ask
from sentiment.maintenance.doctor import Finding
from sentiment.settings import Home


def check_server(home: Home) -> Iterator[Finding]:
    """Whether the server answers, so that runs are scheduled."""
    server = os.environ.get("PREFECT_API_URL") or running_server(home.root)
    if server is None:
        if (prefect_home(home.root) / "server.json").exists():
            yield Finding("server", False, "`sentiment up` was killed: its server does not answer", "sentiment up")
        else:
            yield Finding("server", True, "none is running, so nothing is scheduled: sentiment up")
        return
    try:
        yield Finding("server", True, server)
        yield from check_work_pool(server)
        yield from check_deployments(server)
        yield from check_automations(server)
    except OSError as error:
        yield Finding("server", False, f"{server} does not answer ({error})", "sentiment up, or unset PREFECT_API_URL")


def check_work_pool(server: str) -> Iterator[Finding]:
    """Whether the work pool exists, is not paused, and has a worker."""
    prefect = f"PREFECT_API_URL={server} prefect"
    pool = ask(f"{server}/work_pools/{WORK_POOL}")
    if pool is None:
        remedy = f"{prefect} work-pool create {WORK_POOL} --type process"
        yield Finding("work pool", False, f"there is no work pool {WORK_POOL}, so no run starts", remedy)
    elif pool["is_paused"]:
        yield Finding(
            "work pool", False, f"the work pool {WORK_POOL} is paused", f"{prefect} work-pool resume {WORK_POOL}"
        )
    elif pool["status"] == "NOT_READY":
        remedy = f"restart `sentiment up`, or start one: {prefect} worker start --pool {WORK_POOL}"
        yield Finding("work pool", False, f"no worker takes runs from the work pool {WORK_POOL}", remedy)
    else:
        yield Finding("work pool", True, WORK_POOL)


def check_deployments(server: str) -> Iterator[Finding]:
    """Whether all deployments exist with active schedules."""
    expected = {row["name"]: row for row in yaml.safe_load((PROJECT / DEPLOYMENTS).read_text())["deployments"]}
    found = {row["name"]: row for row in ask(f"{server}/deployments/filter", {"limit": 200}) or []}
    deploy = f"PREFECT_API_URL={server} python -m flows.server.deploy"
    if missing := sorted(expected.keys() - found.keys()):
        yield Finding("schedules", False, f"not deployed: {', '.join(missing)}", deploy)
    is_well = not missing
    for name in sorted(expected.keys() & found.keys()):
        deployment = found[name]
        schedules = deployment["schedules"]
        if expected[name].get("schedules") and not schedules:
            is_well = False
            yield Finding("schedules", False, f"{name} has lost its schedule", deploy)
        for schedule in schedules:
            if not schedule["active"] or deployment["paused"]:
                is_well = False
                resume = f"deployment schedule resume {name}/{name} {schedule['id']}"
                yield Finding(
                    "schedules", False, f"a schedule of {name} is paused", f"PREFECT_API_URL={server} prefect {resume}"
                )
    if is_well:
        yield Finding("schedules", True, f"{len(expected)} deployments")


def check_automations(server: str) -> Iterator[Finding]:
    """Whether all automations exist and are enabled."""
    expected = {row["name"] for row in yaml.safe_load((PROJECT / AUTOMATIONS).read_text())["automations"]}
    found = {row["name"] for row in ask(f"{server}/automations/filter", {"limit": 200}) or [] if row["enabled"]}
    for name in sorted(expected - found):
        remedy = f"PREFECT_API_URL={server} python -m flows.server.deploy"
        yield Finding("automations", False, f"the automation `{name}` is missing or switched off", remedy)
