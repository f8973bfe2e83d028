"""An old snapshot that nobody reads is brought up to date: the same rows as a copy, at the cost of what is new."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest

from sentiment.maintenance.erasure import forget
from sentiment.settings import Home
from sentiment.warehouse import catch_up, snapshot
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.session import Warehouse
from sentiment.warehouse.snapshot import publish

TABLES = "select table_name from duckdb_tables() where schema_name = 'main' order by 1"


@pytest.fixture
def caught_up(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What each attempt came to; small files are not copied either."""
    found: list[bool] = []
    step = catch_up.catch_up

    def noted(home: Home, draft: Path) -> bool:
        found.append(step(home, draft))
        return found[-1]

    monkeypatch.setattr(catch_up, "LEAST_BYTES", 0)
    monkeypatch.setattr(catch_up, "MOST_GROWTH", 100)
    monkeypatch.setattr(catch_up, "catch_up", noted)
    monkeypatch.setattr(snapshot, "_clone", lambda source, target: False)
    return found


@pytest.fixture
def filled(home: Home, tweet_line: Callable, ingest_lines: Callable) -> Home:
    """200 tweets, all scored by version 1, and two snapshots."""
    two = dataclasses.replace(home, settings=home.settings.model_copy(update={"keep_snapshots": 2}))
    ingest_lines(two, *(tweet_line(number, f"tweet {number}") for number in range(200)))
    book(two, 1, 1, 201)
    publish(two)
    with writer(two) as warehouse:
        warehouse.connection.execute("insert into published_model values (1, now())")
    publish(two)
    return two


def book(home: Home, version: int, first: int, end: int) -> None:
    """Predictions of a version for a range of change numbers, with the ledger's row."""
    with writer(home) as warehouse, warehouse.transaction():
        warehouse.connection.execute(
            "insert into predictions select tweet_id, $version, 0.5, 'positive', now(), 'r', null from tweets "
            "where change_number >= $first and change_number < $end",
            {"version": version, "first": first, "end": end},
        )
        warehouse.connection.execute(
            "insert into scored_ranges values ($version, $first, $end, 1, 'r', now())",
            {"version": version, "first": first, "end": end},
        )


def contents(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    execute = warehouse.connection.execute
    names = [name for (name,) in execute(TABLES).fetchall()]
    return {name: execute(f'from "{name}" order by all').fetchall() for name in [*names, "scored_tweets"]}


def published_as_is(home: Home) -> bool:
    with reader(home) as published, writer(home) as warehouse:
        return contents(published) == contents(warehouse)


def test_new_and_changed_tweets_and_their_predictions_are_carried_over(
    filled: Home, caught_up: list[bool], tweet_line: Callable, ingest_lines: Callable
) -> None:
    ingest_lines(filled, *(tweet_line(number, f"tweet {number}") for number in range(190, 230)), name="more.csv")
    publish(filled)
    assert published_as_is(filled)
    book(filled, 1, 201, 231)
    publish(filled)
    assert published_as_is(filled)
    # Another label makes a conflict, an emoticon changes the text, and a correction changes another table.
    ingest_lines(filled, tweet_line(7, "tweet 7", "0"), name="label.csv")
    with writer(filled) as warehouse:
        warehouse.connection.execute("insert into corrections values (3, 'negative', 'ann', now())")
    publish(filled)
    assert published_as_is(filled)
    assert caught_up == [True] * 3


def test_another_version_that_scores_piece_by_piece_is_carried_over(
    filled: Home, caught_up: list[bool], tweet_line: Callable, ingest_lines: Callable
) -> None:
    book(filled, 2, 1, 80)
    publish(filled)
    ingest_lines(filled, *(tweet_line(number, f"tweet {number}") for number in range(300, 320)), name="more.csv")
    book(filled, 2, 120, 150)
    publish(filled)
    assert published_as_is(filled)
    book(filled, 2, 80, 120)
    book(filled, 2, 150, 221)
    with writer(filled) as warehouse:
        warehouse.run("steps/scoring/merge_scored_ranges", model_version=2)
    publish(filled)
    assert published_as_is(filled)
    assert caught_up == [True] * 3


@pytest.mark.parametrize("change", ["forget", "prune", "past range", "deleted", "views"])
def test_what_cannot_be_carried_over_is_copied(
    filled: Home, caught_up: list[bool], change: str, tweet_line: Callable, ingest_lines: Callable
) -> None:
    if change == "forget":
        forget(filled, tweet_ids=[5])
    with writer(filled) as warehouse:
        if change == "prune":
            warehouse.load(
                "steps/maintenance/delete_predictions", pl.DataFrame({"model_version": [1], "count_rows": [200]})
            )
        if change == "past range":
            warehouse.connection.execute(
                "insert into predictions select tweet_id, 3, 0.5, 'positive', now(), 'r', null from tweets where tweet_id < 9"
            )
        if change == "deleted":
            warehouse.connection.execute("delete from predictions where tweet_id < 9")
    if change == "views":
        ingest_lines(filled, tweet_line(900, "tweet 900"), name="more.csv")
        with duckdb.connect(str(min(filled.published.parent.glob("sentiment-*.duckdb")))) as oldest:
            oldest.execute("update view_state set digest = 'of the version before'")
    publish(filled)
    assert published_as_is(filled)
    # After `forget` no older snapshot is even tried: it may hold the texts.
    assert caught_up == ([] if change == "forget" else [False])


def test_whoever_has_the_oldest_snapshot_open_keeps_it(
    filled: Home, caught_up: list[bool], tweet_line: Callable, ingest_lines: Callable
) -> None:
    oldest = min(filled.published.parent.glob("sentiment-*.duckdb"))
    ingest_lines(filled, tweet_line(900, "tweet 900"), name="more.csv")
    with duckdb.connect(str(oldest), read_only=True) as old:
        publish(filled)
        assert old.execute("select count(*) from tweets").fetchone() == (200,)
    assert caught_up == [False]
    assert published_as_is(filled)


def test_a_file_that_something_else_reads_is_not_unused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert catch_up.is_unused(path)
    with path.open("rb"):
        assert not catch_up.is_unused(path)
    assert catch_up.is_unused(path)


@pytest.mark.parametrize("script", ["select_catch_up", "carry_over_tweets", "replace_table", "select_is_equal"])
def test_a_kill_at_any_step_leaves_the_old_snapshot_and_is_made_good_by_the_next_run(
    filled: Home,
    caught_up: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    tweet_line: Callable,
    ingest_lines: Callable,
    script: str,
) -> None:
    ingest_lines(filled, tweet_line(900, "tweet 900"), name="more.csv")
    read = catch_up.read_sql if script == "replace_table" else Warehouse.run

    def die(*args: object, **parameters: object) -> object:
        if f"steps/warehouse/{script}" in args:
            raise KeyboardInterrupt
        return read(*args, **parameters)

    with monkeypatch.context() as patch:
        if script == "replace_table":
            patch.setattr(catch_up, "read_sql", die)
        else:
            patch.setattr(Warehouse, "run", die)
        with pytest.raises(KeyboardInterrupt):
            publish(filled)
    with reader(filled) as published:
        assert published.value("steps/warehouse/count_tweets") == 200
    publish(filled)
    assert published_as_is(filled)
    assert not list(filled.published.parent.glob("*.part*"))


def test_a_snapshot_in_the_place_of_a_lost_warehouse_gives_out_new_numbers(
    filled: Home, caught_up: list[bool], tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    ingest_lines(filled, *(tweet_line(number, f"tweet {number}") for number in range(300, 330)), name="more.csv")
    publish(filled)
    assert caught_up == [True]
    shutil.copyfile(filled.published.resolve(), filled.warehouse)
    ingest_lines(filled, tweet_line(900, "tweet 900"), name="even_more.csv")
    assert rows_of(filled, "select change_number from tweets where tweet_id = 900") == [(231,)]


def test_a_snapshot_that_was_brought_up_to_date_is_one_ordinary_file(
    filled: Home, caught_up: list[bool], tweet_line: Callable, ingest_lines: Callable, tmp_path: Path
) -> None:
    ingest_lines(filled, tweet_line(900, "tweet 900"), name="more.csv")
    book(filled, 1, 201, 202)
    publish(filled)
    assert caught_up == [True]
    alone = shutil.copyfile(filled.published.resolve(), tmp_path / "alone.duckdb")
    with duckdb.connect(str(alone), read_only=True) as connection:
        assert connection.execute("select count(*), max(tweet_id) from scored_tweets").fetchone() == (201, 900)
        comment = "select comment from duckdb_tables() where table_name = 'tweets'"
        assert connection.execute(comment).fetchone() == ("One row a tweet.",)
