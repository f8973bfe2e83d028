"""What is computed again after a change, and what is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import polars as pl
import pytest

from sentiment.desk.kept import Kept, TableStates
from sentiment.ingest.corrections import correct
from sentiment.settings import Home
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.snapshot import publish
from tests.desk.conftest import score

BIG = (
    "desk/select_flips",
    "queries/which_days_turned",
    "queries/which_hours_are_happiest",
    "desk/select_disagreements",
)
OF_CORRECTIONS = ("desk/select_reviewed", "queries/which_labels_are_probably_wrong", "desk/select_counts")


@pytest.fixture
def scored(home: Home, ingest_lines: Callable, tweet_line: Callable[..., bytes]) -> Home:
    """Three tweets, scored by versions 1 and 2; version 2 is published."""
    ingest_lines(home, *(tweet_line(number, f"tweet {number}") for number in range(3)))
    score(home, 1, "tweet_id = 1")
    score(home, 2, "tweet_id = 2")
    return home


def states(home: Home, scripts: tuple[str, ...]) -> dict[str, object]:
    publish(home)
    with reader(home) as snapshot:
        found = TableStates(snapshot)
    return {script: found.of(script) for script in scripts}


def test_a_label_leaves_what_does_not_depend_on_labels_of_people(scored: Home) -> None:
    before = states(scored, BIG + OF_CORRECTIONS)
    correct(scored, pl.DataFrame({"tweet_id": ["1"], "label": ["negative"]}), corrected_by="ann")
    after = states(scored, BIG + OF_CORRECTIONS)
    changed = {script for script, state in after.items() if state != before[script]}
    assert changed == set(OF_CORRECTIONS)


OF_TWEETS = set(BIG) - {"desk/select_disagreements"}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("update tweets set text = 'other', change_number = nextval('change_numbers') where tweet_id = 1", OF_TWEETS),
        ("delete from tweets where tweet_id = 2", OF_TWEETS),
        ("delete from predictions where model_version = 1 and tweet_id = 0", set(BIG)),
        (
            "insert into predictions by name select 9 as tweet_id, 2 as model_version, 0.5 as probability_positive, "
            "'positive' as label, now() as scored_at, 'run' as run_id",
            set(BIG),
        ),
        ("update published_model set model_version = 1", set(BIG) - {"desk/select_flips"}),
    ],
)
def test_a_change_of_tweets_or_predictions_is_noticed_through_views(
    scored: Home, statement: str, expected: set[str]
) -> None:
    before = states(scored, BIG)
    with writer(scored) as warehouse:
        warehouse.connection.execute(statement)
    after = states(scored, BIG)
    assert {script for script in BIG if after[script] != before[script]} == expected


def test_a_view_is_taken_for_the_tables_that_it_reads(scored: Home) -> None:
    found = {name for name, _ in states(scored, ("queries/which_days_turned",))["queries/which_days_turned"]}  # type: ignore[attr-defined]
    assert {"tweets", "predictions", "published_model", "class_scores"} <= found
    assert found.isdisjoint({"corrections", "reviews", "runs"})


def test_who_asks_for_what_is_being_computed_waits_for_it() -> None:
    kept, calls, answers = Kept(), [], []

    def find() -> int:
        calls.append(1)
        time.sleep(0.2)
        return 7

    threads = [threading.Thread(target=lambda: answers.append(kept.once("key", find))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [7] * 5
    assert len(calls) == 1


def test_an_error_is_not_kept() -> None:
    kept = Kept()
    with pytest.raises(ZeroDivisionError):
        kept.once("key", lambda: 1 // 0)
    assert kept.once("key", lambda: 1) == 1
