"""What `sentiment status` shows: rows, champion, coverage, last runs, next schedules, disk. Reads the snapshot alone."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

from flows.orchestration import running_server
from flows.terminal import notes, print_table
from sentiment.settings import Home
from sentiment.warehouse import reader

SECONDS_TO_ANSWER = 5.0


def gather_status(home: Home) -> dict[str, Any]:
    """Everything in one document; a new home has zeros and empty lists."""
    found: dict[str, Any] = {"home": str(home.root), "tables": {}, "champion": None, "runs": [], "schedules": None}
    if home.published.exists():
        with reader(home) as snapshot:
            found["tables"] = snapshot.frame("steps/select_status_counts").row(0, named=True)
            champion = snapshot.frame("steps/select_status_champion")
            found["champion"] = champion.row(0, named=True) if len(champion) else None
            found["runs"] = list(snapshot.frame("steps/select_last_runs").iter_rows(named=True))
    server = running_server(home.root)
    if server is not None:
        found["schedules"] = _next_runs(server)
    used = sum(path.lstat().st_size for path in home.root.rglob("*") if path.is_file() and not path.is_symlink())
    found["disk"] = {
        "home_mb": used >> 20,
        "free_mb": shutil.disk_usage(_existing(home.root)).free >> 20,
        "published": str(home.published),
    }
    return found


def print_status(found: dict[str, Any]) -> None:
    """The same for people."""
    if not found["tables"]:
        notes.print(
            f"Nothing has been loaded into {found['home']} yet. Start with: sentiment ingest PATH", markup=False
        )
    print_table("tweets", list(found["tables"]), [list(found["tables"].values())] if found["tables"] else [])
    champion = found["champion"]
    if champion is not None:
        print_table("champion", list(champion), [list(champion.values())])
    elif found["tables"]:
        notes.print("There is no champion yet. Train one: sentiment retrain")
    if found["runs"]:
        print_table("last runs", list(found["runs"][0]), [list(run.values()) for run in found["runs"]])
    if found["schedules"] is None:
        notes.print("Nothing is scheduled: no Prefect server of this home is running.")
    else:
        print_table("next runs", ["deployment", "at"], [[run["name"], run["at"]] for run in found["schedules"]])
    print_table("disk", list(found["disk"]), [list(found["disk"].values())])


def _next_runs(server: str) -> list[dict[str, str]]:
    """The next scheduled run of each deployment, from the home's own server."""
    deployments = {row["id"]: row["name"] for row in _ask(server, "deployments/filter", {"limit": 100})}
    scheduled = _ask(
        server,
        "flow_runs/filter",
        {
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 200,
        },
    )
    first: dict[str, str] = {}
    for run in scheduled:
        if (name := deployments.get(run["deployment_id"])) is not None:
            first.setdefault(name, run["expected_start_time"])
    return [{"name": name, "at": at} for name, at in sorted(first.items(), key=lambda item: item[1])]


def _ask(server: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{server}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=SECONDS_TO_ANSWER) as answer:
        return json.load(answer)


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
