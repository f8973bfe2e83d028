"""`/review`: one tweet at a time, to be labelled, with the keys of a keyboard; what was said so far, and what it shows."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from sentiment.desk.forms import check_name, cookie_of, name_of, read_form, token_of
from sentiment.desk.orchestration import Orchestration
from sentiment.desk.pages import CurrentView, Page, address, render
from sentiment.desk.queue import QUEUES, ReviewQueue
from sentiment.desk.store import View
from sentiment.errors import InputError
from sentiment.ingest.reviews import Review

router = APIRouter(route_class=Page, include_in_schema=False)


def queue_of(request: Request) -> ReviewQueue:
    """The queue of this application."""
    queue: ReviewQueue = request.app.state.queue
    return queue


@router.get("/review")
def review(request: Request, view: CurrentView) -> Response:
    """The next tweet, or the one that is asked for."""
    kind = request.query_params.get("queue") or "mixed"
    if kind not in QUEUES:
        raise InputError(f"queue={kind[:50]!r} cannot be used. Expected one of {', '.join(QUEUES)}.")
    who, has_key = name_of(request), bool(request.app.state.key)
    shown: dict[str, Any] | None = None
    why = ""
    if has_key and who:
        asked = request.query_params.get("tweet", "")
        if asked:
            shown, why = _tweet(view, int(asked) if asked.isdigit() and len(asked) < 19 else -1), "chosen"
            if shown is None:
                raise InputError(f"There is no tweet {asked[:50]} in what is published.")
        elif claim := queue_of(request).deal(view, who, kind):
            shown, why = _tweet(view, claim.tweet_id), claim.queue
    last = queue_of(request).last.get(who)
    return render(
        request,
        "review.html",
        kind=kind,
        queues=QUEUES,
        who=who,
        has_key=has_key,
        token=token_of(request),
        tweet=shown,
        why=why,
        last=last,
        last_predicted=_predicted(view, last.tweet_id) if last else None,
        account=view.rows_once("select_review_account"),
        accuracy=view.rows_once("select_reviewed_accuracy")[0],
        orchestration=request.app.state.orchestration.look() if has_key else None,
    )


def _tweet(view: View, tweet_id: int) -> dict[str, Any] | None:
    rows = view.rows("select_tweet", tweet_id=tweet_id)
    return rows[0] if rows else None


def _predicted(view: View, tweet_id: int) -> dict[str, Any] | None:
    rows = [row for row in view.rows("select_tweet_predictions", tweet_id=tweet_id) if row["is_published"]]
    return rows[0] if rows else None


@router.post("/review")
async def answer(request: Request) -> Response:
    """Write a label, a skip, an undo, or the name of who labels; then show the next tweet."""
    form = await read_form(request)
    kind = form.get("queue", "mixed")
    back = address("/review", queue=None if kind == "mixed" else kind)
    if "name" in form:
        response = RedirectResponse(back, 303)
        response.set_cookie(**cookie_of(check_name(form["name"])))
        return response
    who = name_of(request)
    if not who:
        raise InputError("Nobody is named. Say who you are first.")
    if form.get("do") == "undo":
        await run_in_threadpool(queue_of(request).undo, who)
        return RedirectResponse(back, 303)
    label = None if form.get("do") == "skip" else form.get("do")
    if label not in (None, "negative", "neutral", "positive") or not form.get("tweet", "").lstrip("-").isdigit():
        raise HTTPException(422, "Expected a tweet and negative, neutral, positive or skip.")
    why = form.get("why", "")
    if why not in (*QUEUES, "chosen") or why == "mixed":
        raise HTTPException(422, "Expected why the tweet was shown.")
    await run_in_threadpool(queue_of(request).answer, Review(int(form["tweet"]), why, label, who))
    return RedirectResponse(back, 303)


@router.post("/retrain")
async def retrain(request: Request) -> Response:
    """Start the deployment that trains on all rows, with the labels that people gave."""
    await read_form(request)
    orchestration: Orchestration = request.app.state.orchestration
    run = await run_in_threadpool(orchestration.start, "retrain", {"options": {"all_rows": True}})
    return render(request, "started.html", run=run, what="A training on all rows, with every label that people gave,")
