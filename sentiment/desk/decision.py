"""`/models/3-vs-1`: a challenger and the champion it faced: the checks, the texts that count, and what can be done."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from sentiment.desk.forms import name_of, read_form, token_of
from sentiment.desk.models import read_version
from sentiment.desk.orchestration import Orchestration
from sentiment.desk.pages import CurrentView, Page, render, store_of
from sentiment.desk.store import View
from sentiment.errors import HomeError, InputError, ModelError
from sentiment.gate.comparison import compare
from sentiment.gate.history import find_losses
from sentiment.settings import Home

MOST_REASON = 500
# What each check keeps from readers, in a sentence.
MEANINGS = {
    "no_leak": "Its accuracy cannot be trusted: it has seen the answers.",
    "loads": "What readers would get is not what was tested.",
    "floor": "Too many labels would be wrong, or probabilities would not mean what they say.",
    "better": "Readers would see thousands of labels change without getting more right ones.",
    "gold": "Tweets that people labelled by hand would be labelled worse.",
    "neutral": "Tweets without a mood would be told apart less well.",
    "slices": "Some kinds of tweets would be labelled worse than today.",
    "behaviour": "Plain cases, such as negations, would go wrong more often.",
    "speed": "Tweets would be scored too slowly to keep up.",
    "rolled_back": "People have gone back from it before.",
}
router = APIRouter(route_class=Page, include_in_schema=False)


@router.get("/models/{challenger}-vs-{champion}")
def decision(request: Request, view: CurrentView, challenger: str, champion: str) -> Response:
    """One decision."""
    new, old = read_version(challenger), read_version(champion)
    versions = {row["model_version"]: row for row in view.rows("select_versions")}
    missing = [version for version in (new, old) if version not in versions]
    if missing:
        problem = f"There is no version {missing[0]} in what is published."
        return render(request, "problem.html", 404, problem=problem)
    return render(
        request,
        "decision.html",
        new=versions[new],
        old=versions[old],
        meanings=MEANINGS,
        can_write=bool(request.app.state.key),
        who=name_of(request),
        token=token_of(request),
        orchestration=request.app.state.orchestration.look(),
        **compared(view, new, old),
    )


def compared(view: View, new: int, old: int) -> dict[str, Any]:
    """Two versions side by side."""
    checks = view.rows("select_decisions_between", challenger=new, champion=old)
    losses = find_losses(view.snapshot, checks[0]["decision_key"]) if checks else ()
    evaluations: dict[str, dict[int, Any]] = {}
    for row in view.rows_once("select_curve"):
        if row["model_version"] in (new, old):
            evaluations.setdefault(row["evaluation_set"], {})[row["model_version"]] = row
    return {
        "checks": checks,
        "rows": compare([SimpleNamespace(**check) for check in checks]),
        "losses": losses,
        "evaluations": {name: row for name, row in evaluations.items() if len(row) == (1 if new == old else 2)},
        "flips": view.rows_once("select_flips", challenger=new, champion=old),
        "corrected": view.rows_once("select_corrected_flips", challenger=new, champion=old)[0],
        "flipped": view.rows_once("select_flipped", challenger=new, champion=old),
    }


@router.post("/models/{version}/promote")
async def promote(request: Request, version: str) -> Response:
    """Make a version champion by hand, and have every tweet scored with it."""
    form = await read_form(request)
    number, who, reason = read_version(version), name_of(request), " ".join(form.get("reason", "").split())
    if not who:
        raise InputError("Nobody is named. Say who you are on the page Review first.")
    if not reason or len(reason) > MOST_REASON:
        raise InputError(f"Expected a reason of 1 to {MOST_REASON} characters; it is kept with the change.")
    try:
        await run_in_threadpool(make_champion, store_of(request).home, number, who, reason)
    except ModelError as error:
        raise HTTPException(404, str(error)) from error
    orchestration: Orchestration = request.app.state.orchestration
    try:
        run = await run_in_threadpool(orchestration.start, "score", {})
    except HomeError as error:
        return render(request, "promoted.html", version=number, run="", problem=str(error))
    return render(request, "promoted.html", version=number, run=run, problem="")


def make_champion(home: Home, version: int, who: str, reason: str) -> None:
    """Move the alias, and publish.

    Raises:
        ModelError: there is no such version.
        InputError: it is the champion.
        BusyError, HomeError: as `warehouse.writer`.
    """
    from sentiment.registry.champion import promote
    from sentiment.registry.client import Registry
    from sentiment.warehouse.snapshot import publish

    patient = home.with_patience(30)
    promote(patient, Registry(patient), version, changed_by=who, reason=reason)
    publish(patient)
