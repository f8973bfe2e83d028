"""What the views show, and that each check of the tables finds what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from sentiment.evaluation.shares import ClassScores, estimate_share
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.query import query
from sentiment.warehouse.session import SQL_FOLDER
from sentiment.warehouse.snapshot import publish

TWEETS: list[tuple[int, str, str, str]] = [
    (1, "one", "4", "Mon Apr 06 23:30:00 UTC 2009"),
    (2, "two", "0", "Mon Apr 06 17:30:00 PDT 2009"),
    (3, "three", "", "Tue Apr 07 12:00:00 UTC 2009"),
    (4, "four", "2", ""),
]
# Probability of version 1, then of version 2.
PROBABILITIES = {1: (0.9, 0.8), 2: (0.7, 0.2), 3: (0.4, 0.6), 4: (0.1, 0.1)}


@pytest.fixture
def scored(home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable) -> Home:
    """Four tweets, scored by versions 1 and 2; 1 is published."""
    ingest_lines(home, *(tweet_line(number, text, label, date=date) for number, text, label, date in TWEETS))
    for number, probabilities in PROBABILITIES.items():
        for version, probability in enumerate(probabilities, start=1):
            label = "positive" if probability >= 0.5 else "negative"
            values = f"({number}, {version}, {probability}, '{label}', now(), 'run', null)"
            rows_of(
                home,
                f"insert into predictions values {values}",
            )
    rows_of(home, "insert into published_model values (1, now())")
    return home


def test_daily_sentiment_estimates_the_true_share_from_the_spread_of_each_class(
    scored: Home, rows_of: Callable
) -> None:
    select = (
        "select estimated_share_positive, estimated_share_lower, estimated_share_upper from daily_sentiment "
        "where day = '2009-04-07'"
    )
    assert rows_of(scored, select) == [(None, None, None)]
    for seconds, mean_negative in enumerate((0.35, 0.2)):
        rows_of(
            scored,
            f"insert into class_scores values (1, now() + interval {seconds} second, "
            f"900, 800, {mean_negative}, 0.8, 0.04, 0.05)",
        )
    ((share, lower, upper),) = rows_of(scored, select)
    ((mean, count),) = rows_of(
        scored, "select mean_probability_positive, count_tweets from daily_sentiment where day = '2009-04-07'"
    )
    expected = estimate_share(np.full(count, mean, dtype=np.float32), ClassScores(900, 800, 0.2, 0.8, 0.04, 0.05))
    assert (share, lower, upper) == pytest.approx((expected.share, expected.lower, expected.upper), abs=1e-6)


def test_scored_tweets_shows_the_published_version_alone(scored: Home, rows_of: Callable) -> None:
    select = "select tweet_id, source_label, label, model_version from scored_tweets order by 1"
    assert rows_of(scored, select) == [
        (1, "positive", "positive", 1),
        (2, "negative", "positive", 1),
        (3, None, "negative", 1),
        (4, "neutral", "negative", 1),
    ]
    rows_of(scored, "update published_model set model_version = 2")
    assert rows_of(scored, "select tweet_id, label, model_version from scored_tweets where tweet_id = 2") == [
        (2, "negative", 2)
    ]


def test_daily_sentiment_counts_days_in_utc_and_leaves_undated_tweets_out(scored: Home, rows_of: Callable) -> None:
    select = "select day, count_tweets, count_positive, share_positive, share_agreeing from daily_sentiment order by 1"
    assert rows_of(scored, select) == [
        (date(2009, 4, 6), 1, 1, 1.0, 1.0),
        (date(2009, 4, 7), 2, 1, 0.5, 0.0),
    ]


def test_label_flips_are_those_of_the_newest_version_against_the_published_one(scored: Home, rows_of: Callable) -> None:
    select = "select tweet_id, from_version, model_version, from_label, label from label_flips order by 1"
    assert rows_of(scored, select) == [(2, 1, 2, "positive", "negative"), (3, 1, 2, "negative", "positive")]
    rows_of(scored, "update published_model set model_version = 2")
    assert rows_of(scored, select) == []


def test_online_accuracy_takes_the_newest_correction_and_no_neutral_one(scored: Home, rows_of: Callable) -> None:
    rows_of(
        scored,
        "insert into corrections values (1, 'negative', 'ann', now() - interval 1 day), (1, 'positive', 'bob', now()), "
        "(2, 'negative', 'ann', now()), (3, 'neutral', 'ann', now())",
    )
    assert rows_of(scored, "from online_accuracy order by 1") == [(1, 2, 0.5), (2, 2, 1.0)]


def test_worst_mistakes_are_sure_ones_first_and_neutral_sources_are_none(scored: Home, rows_of: Callable) -> None:
    rows_of(scored, "update tweets set label = 'positive' where tweet_id = 3")
    found = rows_of(scored, "select tweet_id, round(confidence, 3) from worst_mistakes")
    assert found == [(2, pytest.approx(0.4)), (3, pytest.approx(0.2))]


@pytest.mark.parametrize(
    ("check", "damage", "found"),
    [
        ("tweets_are_unique", "insert into tweets select * from tweets where tweet_id = 2", [2]),
        (
            "predictions_are_unique",
            "insert into predictions select * from predictions where tweet_id < 3",
            [1, 1, 2, 2],
        ),
        ("published_version_is_complete", "delete from predictions where model_version = 1 and tweet_id = 3", [3]),
    ],
)
def test_a_check_returns_the_offending_rows(
    scored: Home,
    rows_of: Callable,
    checks_pass: Callable,
    check: str,
    damage: str,
    found: list[int],
) -> None:
    checks_pass(scored)
    rows_of(scored, damage)
    with writer(scored) as warehouse:
        assert sorted(row[0] for row in warehouse.run(f"checks/{check}").fetchall()) == found


@pytest.mark.parametrize(
    "damage",
    [
        "delete from tweets where tweet_id = 1",
        "insert into tweets select * from tweets where tweet_id = 1",
        "insert into rejected_rows select file_id, 9, 'bad_id', ''::blob, 0 from ingest_files",
        "update ingest_files set count_loaded = count_loaded - 1, count_duplicate = count_duplicate + 1",
    ],
)
def test_files_reconcile_finds_rows_that_came_or_went(scored: Home, rows_of: Callable, damage: str) -> None:
    rows_of(scored, damage)
    with writer(scored) as warehouse:
        assert len(warehouse.run("checks/files_reconcile").fetchall()) == 1


def test_a_tweet_that_arrived_after_the_flip_is_no_offence(
    scored: Home, tweet_line: Callable, ingest_lines: Callable, checks_pass: Callable
) -> None:
    ingest_lines(scored, tweet_line(5, "five"), name="later.csv")
    checks_pass(scored)


def test_every_worked_example_runs_on_the_snapshot(scored: Home) -> None:
    publish(scored)
    for path in sorted((SQL_FOLDER / "queries").glob("*.sql")):
        query(scored, path.read_text())


def test_every_table_and_view_and_each_of_their_columns_has_a_comment(home: Home, rows_of: Callable) -> None:
    def uncommented(source: str, names: str) -> list[Any]:
        return rows_of(home, f"select {names} from {source} where not internal and coalesce(comment, '') = ''")

    assert uncommented("duckdb_tables()", "table_name") == []
    assert uncommented("duckdb_views()", "view_name") == []
    assert uncommented("duckdb_columns()", "table_name, column_name") == []
