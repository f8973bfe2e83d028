"""`/status`: whether something is wrong, what ran, what runs next, what the disk holds, and whether tweets drift."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from sentiment.desk.orchestration import Orchestration
from sentiment.desk.pages import CurrentView, Page, render, store_of
from sentiment.maintenance.doctor import look_quickly
from sentiment.monitoring.report import PANELS

router = APIRouter(route_class=Page, include_in_schema=False)


@router.get("/status")
def status(request: Request, view: CurrentView) -> Response:
    """The state of the home."""
    home = store_of(request).home
    orchestration: Orchestration = request.app.state.orchestration
    monitored = view.rows_once("select_monitoring")
    return render(
        request,
        "status.html",
        wrong=look_quickly(home),
        runs=view.rows("select_runs"),
        files=view.rows("select_files"),
        newest=view.rows_once("select_monitored_days"),
        charts=[
            (title, drift_chart(monitored, measure)) for measure, title in PANELS.items() if _has(monitored, measure)
        ],
        counts=view.rows_once("select_counts")[0],
        orchestration=orchestration.look(),
        disk=disk_of(home.root, home.warehouse, home.published.resolve(), view.index_path),
        home=home.root,
    )


def drift_chart(monitored: list[dict[str, Any]], measure: str) -> dict[str, Any]:
    """A measure by day with its threshold; alarms are marked."""
    rows = [
        {
            "x": row["day"],
            "y": row["value"],
            "lower": row["lower"],
            "upper": row["upper"],
            "threshold": row["threshold"],
            "alarm": row["is_alarm"],
            "href": f"/tweets?from={row['day']}&until={row['day']}",
        }
        for row in monitored
        if row["measure"] == measure
    ]
    return {"kind": "drift", "rows": rows}


def _has(monitored: list[dict[str, Any]], measure: str) -> bool:
    return any(row["measure"] == measure for row in monitored)


def disk_of(root: Path, *files: Path) -> dict[str, Any]:
    """Free space, and the size of the files that grow, in MiB."""
    sizes = {file.name: file.stat().st_size >> 20 for file in files if file.exists()}
    return {"free_mb": shutil.disk_usage(root).free >> 20, "files": sizes}
