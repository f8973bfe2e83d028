"""What `sentiment status` shows: what is wrong, what runs, rows, champion, coverage, last runs, next schedules, disk.

It reads the snapshot and asks the home's Prefect server; `sentiment doctor` looks deeper.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flows.cli.terminal import AsJson, notes, print_json, print_table
from flows.server.ephemeral import running_server
from flows.server.rest import ask
from sentiment.errors import HomeError
from sentiment.markdown import percent
from sentiment.settings import Home, load_settings

RUNNING, FAILED = ("RUNNING", "PENDING"), ("FAILED", "CRASHED")
DAYS_OF_FAILURES = 7


def gather_status(home: Home) -> dict[str, Any]:
    """The whole status as one document; a new home has zeros and empty lists."""
    from flows.server.health import check_server
    from sentiment.maintenance.doctor import Finding, look_quickly
    from sentiment.warehouse.connection import reader

    found: dict[str, Any] = {
        "home": str(home.root),
        "tables": {},
        "champion": None,
        "refused": None,
        "runs": [],
        "schedules": None,
        "refused_files": [],
        "wrong": [],
    }
    unread = ""
    try:
        with reader(home) as snapshot:
            found["tables"] = snapshot.frame("steps/warehouse/select_status_counts").row(0, named=True)
            champion = snapshot.frame("steps/warehouse/select_status_champion")
            found["champion"] = champion.row(0, named=True) if len(champion) else None
            refused = snapshot.frame("steps/warehouse/select_status_refused")
            found["refused"] = refused.row(0, named=True) if len(refused) else None
            found["runs"] = list(snapshot.frame("steps/warehouse/select_last_runs").iter_rows(named=True))
            found["refused_files"] = list(snapshot.frame("steps/warehouse/select_refused_files").iter_rows(named=True))
    except HomeError as error:
        unread = str(error)
    server = running_server(home.root)
    found["running"] = _runs_in(server, RUNNING) if server else []
    found["failed"] = _runs_in(server, FAILED) if server else []
    if server is not None:
        found["schedules"] = _next_runs(server)
    if home.root.exists():
        found["wrong"] = [*look_quickly(home), *(finding for finding in check_server(home) if not finding.is_well)]
    # The quick check may have missed the damaged block.
    if unread and home.published.exists() and not any(finding.check == "snapshot" for finding in found["wrong"]):
        found["wrong"].append(Finding("snapshot", False, unread, "sentiment housekeeping"))
    used = sum(path.lstat().st_size for path in home.root.rglob("*") if path.is_file() and not path.is_symlink())
    found["disk"] = {
        "home_mb": used >> 20,
        "free_mb": shutil.disk_usage(_existing(home.root)).free >> 20,
        "published": str(home.published),
    }
    return found


def print_status(found: dict[str, Any]) -> None:
    """Print the status for people, problems first."""
    for finding in found["wrong"]:
        notes.print(f"{finding.check}: {finding.found}. To fix it: {finding.remedy}", markup=False)
    if not found["tables"] and not any(finding.check == "snapshot" for finding in found["wrong"]):
        notes.print(
            f"Nothing has been loaded into {found['home']} yet. Start with: sentiment ingest PATH", markup=False
        )
    print_table("tweets", list(found["tables"]), [list(found["tables"].values())] if found["tables"] else [])
    champion = found["champion"]
    if champion is not None:
        print_table("champion", list(champion), [_in_percent(champion)])
    elif found["tables"]:
        notes.print("There is no champion yet. Train one: sentiment retrain")
    if (refused := found["refused"]) is not None:
        print_table("more accurate than the champion, and refused", list(refused), [_in_percent(refused)])
        notes.print(f"Why: sentiment decisions --model-version {refused['model_version']}", markup=False)
    if found["runs"]:
        print_table("last runs", list(found["runs"][0]), [list(run.values()) for run in found["runs"]])
    if found["refused_files"]:
        print_table(
            "files that were not loaded",
            ["file", "refused at", "reason"],
            [list(row.values()) for row in found["refused_files"]],
        )
    for title, runs in (("running now", found["running"]), ("failed in the last 7 days", found["failed"])):
        if runs:
            print_table(title, list(runs[0]), [list(run.values()) for run in runs])
    if found["schedules"] is None:
        notes.print("Nothing is scheduled: no Prefect server of this home is running.")
    else:
        print_table("next runs", ["deployment", "at"], [[run["name"], run["at"]] for run in found["schedules"]])
    print_table("disk", list(found["disk"]), [list(found["disk"].values())])


def _in_percent(row: dict[str, Any]) -> list[Any]:
    """Values of a row, whose fractions are all shares."""
    return [percent(value, 2) if isinstance(value, float) else value for value in row.values()]


def _next_runs(server: str) -> list[dict[str, str]]:
    """The next scheduled run of each deployment, from the home's own server."""
    deployments = {row["id"]: row["name"] for row in ask(f"{server}/deployments/filter", {"limit": 100}) or []}
    scheduled = ask(
        f"{server}/flow_runs/filter",
        {
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 200,
        },
    )
    first: dict[str, str] = {}
    for run in scheduled or []:
        if (name := deployments.get(run["deployment_id"])) is not None:
            first.setdefault(name, run["expected_start_time"])
    return [{"name": name, "at": at} for name, at in sorted(first.items(), key=lambda item: item[1])]


def _runs_in(server: str, states: tuple[str, ...]) -> list[dict[str, Any]]:
    """Flow runs of the last days in one of these states, newest first, with what their state says."""
    since = (datetime.now(UTC) - timedelta(days=DAYS_OF_FAILURES)).isoformat()
    wanted = {"state": {"type": {"any_": list(states)}}, "start_time": {"after_": since}}
    # Subflows repeat the message of their parents.
    wanted["parent_task_run_id"] = {"is_null_": True}
    runs = ask(f"{server}/flow_runs/filter", {"flow_runs": wanted, "sort": "START_TIME_DESC", "limit": 8}) or []
    return [
        {"run": run["name"], "since": datetime.fromisoformat(run["start_time"]), "says": _first_line(run["state"])}
        for run in runs
    ]


def _first_line(state: dict[str, Any]) -> str:
    message = (state.get("message") or state["name"]).strip()
    return str(message.splitlines()[0])[:200] if message else str(state["name"])


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def status(as_json: AsJson = False) -> None:
    """Show rows, champion, coverage, last runs, next schedules and disk.

    Example: sentiment status
    """
    from flows.cli.status import gather_status, print_status

    settings = load_settings()
    found = gather_status(Home(settings.home, settings))
    if as_json:
        print_json(found)
    else:
        print_status(found)
