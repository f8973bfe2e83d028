"""The desk in a real Chromium: twenty tasks by clicks, no serious finding of axe-core, and no text that becomes script."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from fastapi import FastAPI

from sentiment.gate.checks import Check, Verdict
from sentiment.gate.history import record_decision
from sentiment.monitoring import daily
from sentiment.monitoring import profile as profiling
from sentiment.monitoring.report import write_html
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from tests.api.conftest import listening
from tests.desk.conftest import HOSTILE, KEY, score

pytest.importorskip("playwright", reason="needs Playwright: pip install playwright axe-playwright-python")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.desk.tasks import TASKS, Subject

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Dialog

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
FIRST_DAY = datetime(2009, 4, 6, 12)
DAYS, TWEETS_A_DAY = 12, 150
CHECKS = (
    Check("better", False, HOSTILE, 0.832, 0.8097, -0.0244, -0.0202, 0.0),
    Check("behaviour", True, HOSTILE, 0.834, 0.816, -0.041, 0.011, 0.7),
)
PAGES = {
    "overview": "/",
    "weeks": "/?unit=week",
    "topics": "/topics?word=glad1",
    "tweets": "/tweets",
    "no tweets": "/tweets?q=nowhere",
    "tweet": "/tweets/3",
    "review": "/review",
    "models": "/models",
    "model": "/models/2",
    "decision": "/models/2-vs-1",
    "health": "/status",
    "questions": "/questions",
    "question": "/questions/which_days_turned",
    "try": "/try?text=glad1+sad2",
    "docs": "/docs",
    "a wrong address": "/tweets/first",
}


@pytest.fixture(scope="module")
def home(new_home: Callable[[], Home], ingest_lines: Callable, tweet_line: Callable[..., bytes]) -> Home:
    """Twelve days of tweets, the last but one of them sad; every tenth tweet, and all that has a name, tries to be script."""
    made = new_home()
    lines = []
    for number in range(DAYS * TWEETS_A_DAY):
        day = number // TWEETS_A_DAY
        is_glad = number % (5 if day == DAYS - 2 else 2) == 1
        text = f"{'glad' if is_glad else 'sad'}{number // 2 % 20} {HOSTILE if number % 10 == 0 else '#fail @shop'} {number}"
        date = f"{FIRST_DAY + timedelta(days=day):%a %b %d %H:%M:%S} UTC 2009"
        user = "<script>alert(4)</script>" if number % 10 == 0 else f"user{number % 7}"
        lines.append(tweet_line(number, text, "4" if is_glad else "0", date=date, user=user, query=HOSTILE))
    ingest_lines(made, *lines, name="<img src=x onerror=alert(3)>.csv")
    with writer(made) as warehouse:
        for version in (1, 2):
            values = [version, version * 500, HOSTILE, version, version * 500, version]
            warehouse.connection.execute(
                "insert into model_versions select ?, 'run', 'key', ?, 500, ?, 'd', 's', 'h', 'g', 0, '{}', 1, 1, now()",
                values[:3],
            )
            warehouse.connection.execute(
                "insert into learning_curve by name select ? as model_version, now() as evaluated_at, "
                "? as count_train_rows, unnest(['holdout', 'gold']) as evaluation_set, 300 as count_rows, "
                "unnest([0.8, 0.78]) + 0.01 * ? as accuracy, 0.75 as lower, 0.85 as upper, 0.5 as log_loss, "
                "0.02 as calibration_error, 1.5 as train_seconds",
                values[3:],
            )
        warehouse.connection.execute(
            "insert into alias_history select 'champion', 1, null, now(), 'promotion', ?, ?", [HOSTILE, HOSTILE]
        )
        warehouse.connection.execute("insert into runs select 'run', 'score', now(), now(), 1.5, 9, 8, 7, ?", [HOSTILE])
        record_decision(warehouse, Verdict(CHECKS), decision_key="key", model_version=2, champion_version=1)
        losses = {
            "decision_key": ["key"],
            "loss_number": [1],
            "check_name": ["behaviour"],
            "found_in": [HOSTILE],
            "expected": ["is negative"],
            "tweet_id": pl.Series([None], dtype=pl.Int64),
            "text_key": pl.Series([None], dtype=pl.Int64),
            "text": [HOSTILE],
            "champion_probability": [0.1],
            "challenger_probability": [0.9],
        }
        warehouse.load("steps/gate/insert_decision_losses", pl.DataFrame(losses))
    score(made, 2, "text like '%glad%' or tweet_id % 9 = 0")
    score(made, 1, "text like '%glad%'")
    return made


@pytest.fixture(scope="module")
def reports(home: Home) -> list[Path]:
    """The pages that `profile` and `monitor` write; DuckDB opens a snapshot one way at a time, so before the desk does."""
    report = daily.monitor(home, days=7, late_after_days=1, least_tweets=100)
    return [
        profiling.write_page(home.reports / "profile.html", profiling.measure(home)),
        write_html(home, report, FIRST_DAY.date()),
    ]


@pytest.fixture(scope="module")
def base(home: Home, reports: list[Path], make_desk: Callable[..., FastAPI]) -> Iterator[str]:
    """The address of its desk, which takes labels."""
    with listening(make_desk(home, api_key=KEY)) as client:
        yield str(client.base_url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a user who knows the key; a script that runs, or an error in one of ours, fails the test."""
    context = browser.new_context(http_credentials={"username": "ann", "password": KEY})
    yield from watched(context)


def watched(context: BrowserContext) -> Iterator[Page]:
    page, wrong = context.new_page(), list[str]()
    page.set_default_timeout(20_000)

    def dismiss(dialog: Dialog) -> None:
        wrong.append(f"a script ran: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    context.close()
    assert wrong == []


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_done_by_clicks_alone(page: Page, base: str, name: str) -> None:
    page.goto(base)
    TASKS[name](page, Subject(word="fail"))


def serious(page: Page) -> list[Any]:
    """Serious and critical findings of axe-core."""
    found = Axe().run(page).response["violations"]
    return [
        (finding["id"], finding["nodes"][0]["html"])
        for finding in found
        if finding["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_everybody_can_use_every_page(browser: Browser, base: str, width: int, scheme: Any) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        bypass_csp=True,
        http_credentials={"username": "ann", "password": KEY},
    )
    found = {}
    for page in watched(context):
        for name, path in PAGES.items():
            page.goto(base + path)
            found[name] = serious(page)
            is_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not is_wide, f"{name} is wider than the screen"
    assert not any(found.values()), found


def test_pages_of_profile_and_monitor_show_texts_as_texts(browser: Browser, reports: list[Path]) -> None:
    for scheme in ("light", "dark"):
        context = browser.new_context(
            viewport={"width": 390, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
            bypass_csp=True,
        )
        for page in watched(context):
            for path in reports:
                page.goto(path.as_uri())
                assert serious(page) == [], path.name
                assert page.locator("script:has-text('alert'), img[onerror]").count() == 0
                assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path.name
