"""Each worked example of sql/queries/ on a few rows whose answer is known, and read access as people have it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy

from sentiment.monitoring.profile import keep, measure
from sentiment.settings import Home
from sentiment.warehouse.query import query
from sentiment.warehouse.session import SQL_FOLDER
from sentiment.warehouse.snapshot import publish

# id, text, label of the source, split, probability of version 1, of version 2
TWEETS = [
    (1, "#rain again", "0", "holdout", 0.2, 0.1),
    (2, "#Rain and #rain", "0", "holdout", 0.9, 0.3),
    (3, "sun", "4", "holdout", 0.9, 0.8),
    (4, "#sun #rain", "4", "train", 0.4, 0.6),
    (5, "who knows", "", "train", 0.5, 0.5),
]


@pytest.fixture(scope="module")
def asked(
    new_home: Callable, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> Callable[[str], list[dict[str, Any]]]:
    """What a worked example answers: version 2 has replaced version 1 as champion."""
    home: Home = new_home()
    ingest_lines(
        home,
        *(tweet_line(number, text, label, user=f"user{number % 2}") for number, text, label, *_ in TWEETS),
        tweet_line("x", "broken"),
    )
    for number, _, _, split, *probabilities in TWEETS:
        rows_of(home, f"update tweets set split = '{split}' where tweet_id = {number}")
        for version, probability in enumerate(probabilities, start=1):
            label = "positive" if probability >= 0.5 else "negative"
            rows_of(
                home,
                f"insert into predictions values ({number}, {version}, {probability}, '{label}', now(), 'run', null)",
            )
    for statement in (
        "insert into published_model values (2, now())",
        "insert into alias_history values ('champion', 1, null, now() - interval 1 day, 'promotion', 'gate', 'first'), "
        "('champion', 2, 1, now(), 'promotion', 'gate', 'better')",
        "insert into corrections values (2, 'positive', 'ann', now() - interval 1 hour), (2, 'negative', 'ann', now())",
        "insert into learning_curve values (1, now(), 100, 'holdout', 3, 0.6, 0.5, 0.7, 1, 0, 5, 'h'), "
        "(2, now(), 200, 'holdout', 3, 0.7, 0.6, 0.8, 1, 0, 9, 'h')",
        "insert into decisions values ('k', now(), 3, 2, 'better', 0.7, 0.6, -0.2, 0.1, 0, false, 'worse'), "
        "('k', now(), 3, 2, 'loads', null, 0, null, null, 0, true, 'fine')",
        "insert into runs values ('r', 'score', now(), now(), 2.5, 5, 2, 100, 'done')",
    ):
        rows_of(home, statement)
    publish(home)
    keep(home, measure(home))
    publish(home)

    def ask(name: str) -> list[dict[str, Any]]:
        return list(query(home, (SQL_FOLDER / "queries" / f"{name}.sql").read_text()).iter_rows(named=True))

    ask.home = home  # type: ignore[attr-defined]
    return ask


Ask = Callable[[str], list[dict[str, Any]]]


def values(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def test_who_complains_most_about_what(asked: Ask) -> None:
    rows = asked("who_complains_most_about_what")
    # Of three tweets with #rain two are negative: those of user1 (1) and user0 (2); case and repetition do not count.
    assert values(rows, "hashtag", "count_tweets", "count_negative") == [("#rain", 3, 2)]
    assert rows[0]["share_negative"] == pytest.approx(2 / 3)


def test_what_changed_with_the_new_champion(asked: Ask) -> None:
    names = ("from_version", "model_version", "from_label", "label", "count_tweets", "count_source_backs_new")
    assert sorted(values(asked("what_changed_with_the_new_champion"), *names)) == [
        (1, 2, "negative", "positive", 1, 1),
        (1, 2, "positive", "negative", 1, 1),
    ]


def test_how_good_is_the_champion_by_month(asked: Ask) -> None:
    assert values(asked("how_good_is_the_champion_by_month"), "month", "count_tweets", "accuracy") == [
        ("2009-04", 3, 1.0)
    ]


def test_can_the_probabilities_be_believed(asked: Ask) -> None:
    found = values(asked("can_the_probabilities_be_believed"), "from_probability", "count_tweets", "share_positive")
    assert found == [(0.1, 1, 0.0), (0.3, 1, 0.0), (0.8, 1, 1.0)]


def test_which_hours_are_happiest(asked: Ask) -> None:
    assert values(asked("which_hours_are_happiest"), "hour", "count_tweets", "share_positive") == [(5, 5, 0.6)]


def test_how_positive_is_each_topic(
    new_home: Callable, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    """60 % of the tweets on #a are given 0.8 and the others 0.2, by a version that gives so to nine and one in ten."""
    home: Home = new_home()
    ingest_lines(home, *(tweet_line(number, f"#a {number}" if number < 100 else "#b") for number in range(105)))
    for statement in (
        "insert into predictions "
        "select tweet_id, 1, if(tweet_id % 5 < 3, 0.8, 0.2), 'positive', now(), 'run', null from tweets",
        "insert into published_model values (1, now())",
        "insert into class_scores values (1, now(), 1000, 1000, 0.26, 0.74, 0.0324, 0.0324)",
    ):
        rows_of(home, statement)
    publish(home)
    (row,) = query(home, (SQL_FOLDER / "queries" / "how_positive_is_each_topic.sql").read_text()).iter_rows(named=True)
    assert (row["topic"], row["count_tweets"]) == ("#a", 100)
    assert row["share_positive"] == pytest.approx((0.56 - 0.26) / 0.48, abs=1e-6)
    assert row["lower"] < 0.6 < row["upper"]


def test_what_did_more_data_bring(asked: Ask) -> None:
    assert values(asked("what_did_more_data_bring"), "count_train_rows", "accuracy", "lower") == [
        (100, 0.6, 0.5),
        (200, 0.7, 0.6),
    ]


def test_why_was_a_model_refused(asked: Ask) -> None:
    assert values(asked("why_was_a_model_refused"), "model_version", "check_name", "reason") == [(3, "better", "worse")]


def test_which_labels_are_probably_wrong(asked: Ask) -> None:
    assert asked("which_labels_are_probably_wrong") == []


def test_is_every_tweet_scored(asked: Ask) -> None:
    names = ("model_version", "count_scored", "count_missing", "is_published")
    assert values(asked("is_every_tweet_scored"), *names) == [(2, 5, 0, True), (1, 5, 0, False)]


def test_where_does_the_time_go(asked: Ask) -> None:
    assert values(asked("where_does_the_time_go"), "flow", "count_runs", "seconds", "count_rows") == [
        ("score", 1, 2.5, 5)
    ]


def test_which_words_tell_the_classes_apart(asked: Ask) -> None:
    assert all(row["label"] in ("negative", "positive") for row in asked("which_words_tell_the_classes_apart"))


def test_which_tweets_did_people_correct(asked: Ask) -> None:
    found = values(asked("which_tweets_did_people_correct"), "tweet_id", "corrected_label", "label")
    assert found == [(2, "negative", "negative")]


def test_where_is_the_model_unsure(asked: Ask) -> None:
    assert values(asked("where_is_the_model_unsure"), "tweet_id")[:2] == [(5,), (4,)]


def test_why_were_lines_rejected(asked: Ask) -> None:
    assert values(asked("why_were_lines_rejected"), "reason", "count_lines", "first_line_number") == [("bad_id", 1, 6)]


@pytest.mark.parametrize("name", ["what_would_the_newest_version_change", "which_days_turned"])
def test_the_others_answer_nothing_where_there_is_nothing(asked: Ask, name: str) -> None:
    assert asked(name) == []


def test_every_worked_example_opens_with_its_question_and_is_tested() -> None:
    here = Path(__file__).read_text()
    for path in (SQL_FOLDER / "queries").glob("*.sql"):
        assert re.match(r"-- [A-Z].*\?", path.read_text()), path
        assert path.stem in here


@pytest.fixture(scope="module")
def snapshot(asked: Ask) -> Path:
    home: Home = asked.home  # type: ignore[attr-defined]
    return home.published.resolve()


def test_sqlalchemy_reflects_every_table_and_view_and_reads_it(snapshot: Path) -> None:
    engine = sqlalchemy.create_engine(f"duckdb:///{snapshot}", connect_args={"read_only": True})
    try:
        inspector = sqlalchemy.inspect(engine)
        names = [*inspector.get_table_names(), *inspector.get_view_names()]
        assert {"tweets", "predictions", "scored_tweets", "daily_sentiment"} <= set(names)
        with engine.connect() as connection:
            for name in names:
                table = sqlalchemy.Table(name, sqlalchemy.MetaData(), autoload_with=engine)
                assert list(connection.execute(sqlalchemy.select(table)).keys()) == [
                    column.name for column in table.columns
                ]
    finally:
        engine.dispose()


def test_pandas_and_polars_read_every_table_and_view(snapshot: Path) -> None:
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        names = connection.sql(
            "select table_name from duckdb_tables() union all select view_name from duckdb_views() where not internal"
        )
        for (name,) in names.fetchall():
            relation = connection.table(name)
            rows = len(relation.fetchall())
            assert len(connection.table(name).df()) == rows == len(connection.table(name).pl())
