"""A published home whose every text, name and file tries to be more than text, and a client of its desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI

from sentiment.api.app import create_app
from sentiment.api.champion_watcher import Followed, Served
from sentiment.desk.store import Store, View
from sentiment.model.classifier import SentimentModel
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import Home, Settings
from sentiment.warehouse.connection import writer
from sentiment.warehouse.search_index import STEPS, build, index_path
from sentiment.warehouse.snapshot import publish
from tests.api.conftest import listening, wait_until

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
FILE = "<img src=x onerror=alert(3)>.csv"
DAYS = ("Mon Apr 06 22:00:00 UTC 2009", "Tue Apr 07 10:00:00 UTC 2009", "Sun May 10 01:00:00 UTC 2009")
KEY = "a key of the tests"


def score(home: Home, version: int, positive: str) -> None:
    """Predict every tweet with a version: positive where an expression holds; publish that version."""
    with writer(home) as warehouse:
        warehouse.connection.execute(
            f"insert into predictions by name select tweet_id, {version} as model_version, if({positive}, 0.8, 0.3) as "
            f"probability_positive, if({positive}, 'positive', 'negative') as label, now() as scored_at, 'run' as run_id "
            "from tweets"
        )
        warehouse.run("steps/registry/flip_published_model", model_version=version)
    publish(home)


def first_view(store: Store) -> View:
    """The newest view of a home; its index is built here, not in a process of low priority."""
    index = index_path(store.home)
    if not index.exists():
        index.parent.mkdir(exist_ok=True)
        assert list(build(store.home.published.resolve(), index, "800MB")) == list(STEPS.values())
    wait_until(lambda: store.view().snapshot_path == store.home.published.resolve())
    return store.view()


@pytest.fixture(scope="module")
def desk_home(new_home: Callable[[], Home], ingest_lines: Callable, tweet_line: Callable[..., bytes]) -> Home:
    """120 tweets on three days by two users, every third one hostile, half positive; scored by version 7."""
    home = new_home()
    lines = [
        tweet_line(
            number,
            f"{HOSTILE} number{number} #fail" if number % 3 == 0 else f"a glad day number{number} @bob it's fine",
            "4" if number % 2 else "0",
            date=DAYS[number % 3],
            user="<b>eve</b>" if number % 3 == 0 else "Ann",
            query=HOSTILE,
        )
        for number in range(120)
    ]
    ingest_lines(home, *lines, name=FILE)
    with writer(home) as warehouse:
        warehouse.connection.execute(
            "insert into model_versions select 7, ?, 'key', 1000, 990, ?, 'data', 'subset', 'holdout', 'gold', 0, '{}', "
            "1.5, 100, now()",
            [HOSTILE, HOSTILE],
        )
        warehouse.connection.execute(
            "insert into learning_curve by name select 7 as model_version, now() as evaluated_at, 1000 as count_train_rows, "
            "unnest(['holdout', ?]) as evaluation_set, 300 as count_rows, 0.8 as accuracy, 0.75 as lower, 0.85 as upper, "
            "0.5 as log_loss, 0.02 as calibration_error, 1.5 as train_seconds",
            [f"gold:{HOSTILE}"],
        )
        warehouse.connection.execute(
            "insert into decisions select 'key', now(), 7, null, unnest(['floor', 'speed']), null, 0.8, null, null, 0.7, "
            "unnest([true, false]), ?",
            [HOSTILE],
        )
        warehouse.connection.execute(
            "insert into alias_history select 'champion', 7, null, now(), 'promotion', ?, ?", [HOSTILE, HOSTILE]
        )
        warehouse.connection.execute(
            "insert into monitoring select '2009-05-09', unnest(['volume', 'mean_probability']), 1, 0, 2, 1.5, true, now()"
        )
        warehouse.connection.execute(
            "insert into runs select 'run', 'score', now(), now(), 1.5, 120, 80, 100, ?", [HOSTILE]
        )
    score(home, 7, "text like '%glad%'")
    return home


@pytest.fixture(scope="module")
def make_desk(lexicon_model: Callable[[int], SentimentModel]) -> Callable[..., FastAPI]:
    """Makes the application of a home with a model in memory, version 7, which follows nobody."""

    def make(home: Home, **settings: object) -> FastAPI:
        app = create_app(Home(home.root, Settings(**settings)))  # type: ignore[arg-type]
        follower = app.state.service.follower
        follower.run = lambda: None
        follower.now = Followed(Served(RegisteredVersion(7, "run", "key"), lexicon_model(20), {}))
        if home.published.exists():
            first_view(app.state.store)
        return app

    return make


@pytest.fixture(scope="module")
def desk(make_desk: Callable[..., FastAPI], desk_home: Home) -> Iterator[httpx.Client]:
    """A client of the desk, without a key."""
    with listening(make_desk(desk_home)) as client:
        yield client
