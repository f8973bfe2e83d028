"""The desk: pages for people, served with the API from the published snapshot.

Results (`overview`, `topics`, `tweets`, `questions`), models and decisions (`models`), labelling (`review`) and the state of
the home (`status`). Pages are rendered here and complete without script; charts are Observable Plot's, vendored with its
licence in `static/`. Nothing is loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from sentiment.desk import decision, models, overview, questions, reference, review, status, topics, tweets
from sentiment.desk.filters import TweetFilter
from sentiment.desk.orchestration import Orchestration
from sentiment.desk.pages import STATIC
from sentiment.desk.queue import CHOSEN, ReviewQueue, candidates
from sentiment.desk.store import Store, View
from sentiment.settings import Home

PREPARED_DECISIONS = 3


class _KeptStatic(StaticFiles):
    """Static files that browsers keep: their addresses change with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def prepare(view: View) -> Iterator[None]:
    """Compute what the first visitor of a new snapshot would wait for; each step takes a second at most."""
    overview.summary_of(view)
    yield
    tweets.count_matching(view, TweetFilter())
    yield
    newest = view.indexed_once("select_day_range").row(0, named=True)["last"]
    if newest:
        topics.find(view, topics.TopicChoice(), newest)
    view.indexed_once("select_choices")
    yield
    for queue in CHOSEN:
        candidates(view, queue)
        yield
    for row in view.rows("select_versions")[:PREPARED_DECISIONS]:
        if row["champion_version"] not in (None, row["model_version"]):
            decision.compared(view, row["model_version"], row["champion_version"])
            yield
    for name in questions.read_questions():
        questions.answer(view, name)
        yield


def add_to(app: FastAPI, home: Home, *, key: str, orchestration: Orchestration) -> None:
    """Add the desk's pages to an application.

    Args:
        key: the key that requests bring; without one nothing can be written from the pages.
        orchestration: what runs the flows.
    """
    app.state.store = Store(home, prepare)
    app.state.queue = ReviewQueue(app.state.store)
    app.state.orchestration = orchestration
    app.state.key = key
    for module in (overview, topics, tweets, decision, models, status, questions, reference, review):
        app.include_router(module.router)
    app.mount("/static", _KeptStatic(directory=STATIC), name="static")
