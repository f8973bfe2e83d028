"""`/models`: every version, what more data brought, and what the gate decided."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from sentiment.desk.pages import CurrentView, Page, render
from sentiment.errors import InputError

router = APIRouter(route_class=Page, include_in_schema=False)


@router.get("/models")
def models(request: Request, view: CurrentView) -> Response:
    """All versions, newest first."""
    versions = view.rows("select_versions")
    curve = view.rows("select_curve")
    return render(
        request,
        "models.html",
        versions=versions,
        curve=curve,
        chart=curve_chart(curve),
        history=view.snapshot.frame("steps/registry/select_history").to_dicts(),
    )


def curve_chart(curve: list[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy by rows of training with its interval, one series for each evaluation set."""
    rows = [
        {
            "x": row["count_train_rows"],
            "y": row["accuracy"],
            "lower": row["lower"],
            "upper": row["upper"],
            "series": row["evaluation_set"],
            "name": f"version {row['model_version']}",
            "href": f"/models/{row['model_version']}",
        }
        for row in curve
    ]
    return {"kind": "curve", "rows": rows}


def read_version(text: str) -> int:
    """The number of a version in an address.

    Raises:
        InputError: it is none.
    """
    if not text.isdigit() or len(text) > 9:
        raise InputError(f"{text[:50]!r} is no model version. Expected a number, such as /models/3 or /models/3-vs-1.")
    return int(text)


@router.get("/models/{name}")
def model(request: Request, view: CurrentView, name: str) -> Response:
    """One version: how it did, and what the gate made of it."""
    version = read_version(name)
    found = [row for row in view.rows("select_versions") if row["model_version"] == version]
    if not found:
        return render(request, "problem.html", 404, problem=f"There is no version {version} in what is published.")
    decided = [row for row in view.rows("select_decisions") if row["model_version"] == version]
    return render(
        request,
        "model.html",
        version=found[0],
        evaluations=[row for row in view.rows("select_curve") if row["model_version"] == version],
        decisions=decided,
    )
