"""The ledger knows what is not scored yet, by ranges of change numbers, also when tweets change in between."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from sentiment.maintenance.erasure import forget
from sentiment.registry.client import Registry
from sentiment.scoring import score as scoring
from sentiment.settings import Home
from sentiment.warehouse import migrations
from sentiment.warehouse.connection import writer
from sentiment.warehouse.scored_ranges import count_unscored, unscored_pieces

LEDGER = "select model_version, first_number, end_number, count_rows from scored_ranges order by all"


def test_one_row_of_the_ledger_holds_all_that_was_scored(world: Home, score: Callable, rows_of: Callable) -> None:
    score()
    assert rows_of(world, LEDGER) == [(1, 1, 2401, 2400)]


def test_only_what_is_new_is_looked_at(
    world: Home, score: Callable, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    score()
    ingest_lines(world, *(tweet_line(9000 + number, f"glad1 {number}") for number in range(5)), name="new.csv")
    with writer(world) as warehouse:
        assert [(piece.count_rows, piece.least, piece.greatest) for piece in unscored_pieces(warehouse, 1)] == [
            (5, 9000, 9004)
        ]
        assert sum(piece.count_rows for piece in unscored_pieces(warehouse, 2)) == 2405
    assert score().count_scored == 5
    assert rows_of(world, LEDGER) == [(1, 1, 2406, 2405)]


def test_a_tweet_whose_label_changed_is_looked_at_and_not_scored_again(
    world: Home, score: Callable, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable, checks_pass: Callable
) -> None:
    score()
    text = rows_of(world, "select text from tweets where tweet_id = 3")[0][0]
    ingest_lines(world, tweet_line(3, text, "0"), name="other.csv")
    assert rows_of(world, "select has_label_conflict, change_number from tweets where tweet_id = 3") == [(True, 2401)]
    report = score(run_id="later")
    assert (report.count_scored, report.is_published) == (0, True)
    assert rows_of(world, LEDGER) == [(1, 1, 2402, 2400)]
    checks_pass(world)


def test_a_past_range_of_days_and_then_everything_scores_nothing_twice(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable
) -> None:
    rows_of(world, "update tweets set posted_at = '2009-05-01'::timestamptz + interval (tweet_id) minute")
    assert score(since=datetime(2009, 5, 1, 4, tzinfo=UTC), until=datetime(2009, 5, 2, tzinfo=UTC)).count_scored == 1200
    assert rows_of(world, LEDGER) == []
    assert score().count_scored == 1200
    assert rows_of(world, "select count(*), count(distinct tweet_id) from predictions") == [(2400, 2400)]
    checks_pass(world)


def test_a_file_of_predictions_that_comes_three_times_counts_once(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = scoring._Job._commit

    def thrice(job: Any, *args: Any) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(job.store, "remove", lambda name: None)
            counts = [commit(job, *args), commit(job, *args)]
        assert counts[1] == 0
        return counts[0] + commit(job, *args)

    monkeypatch.setattr(scoring._Job, "_commit", thrice)
    assert score().count_scored == 2400
    assert rows_of(world, LEDGER) == [(1, 1, 2401, 2400)]
    checks_pass(world)


def test_forgotten_tweets_leave_no_gap(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable, tweet_line: Callable, ingest_lines: Callable
) -> None:
    score()
    forget(world, tweet_ids=[0, 1000, 2399])
    assert score().count_scored == 0
    # The number of the last tweet is not given out again.
    ingest_lines(world, tweet_line(9001, "glad1 new"), name="new.csv")
    assert rows_of(world, "select change_number from tweets where tweet_id = 9001") == [(2401,)]
    assert score().count_scored == 1
    checks_pass(world)


def test_a_version_whose_predictions_were_pruned_is_scored_anew(
    world: Home, score: Callable, rows_of: Callable
) -> None:
    score(model_version=2)
    with writer(world) as warehouse, warehouse.transaction():
        warehouse.load(
            "steps/maintenance/delete_predictions", pl.DataFrame({"model_version": [2], "count_rows": [2400]})
        )
    assert rows_of(world, LEDGER) == []
    assert score(model_version=2).count_scored == 2400


@pytest.mark.parametrize("rows", [1, 7, 100, 10_000])
def test_pieces_cover_sparse_numbers_without_gaps(home: Home, rows: int) -> None:
    with writer(home) as warehouse:
        warehouse.connection.execute(
            "insert into tweets by name select i as tweet_id, 'x' as text, false as has_label_conflict, i as text_key, "
            "'train' as split, 'f' as file_id, now() as ingested_at, if(i < 50, i, i * 37) as change_number "
            "from range(1, 400) as numbers (i)"
        )
        pieces = unscored_pieces(warehouse, 1, rows=rows)
        assert count_unscored(warehouse, 1) == 399
    assert pieces[0].first_number == 1
    assert [piece.end_number for piece in pieces[:-1]] == [piece.first_number for piece in pieces[1:]]
    assert pieces[-1].end_number == 399 * 37 + 1
    assert sum(piece.count_rows for piece in pieces) == 399
    assert all(rows <= piece.count_rows < 2 * rows for piece in pieces[:-1])


def test_a_warehouse_of_the_version_before_keeps_what_it_has_scored(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dataclasses.replace(world)
    later = ("change_number", "source", "source_id")
    columns = [name for (name,) in rows_of(world, "select column_name from (describe tweets)") if name not in later]
    tweets = pl.DataFrame(rows_of(world, f"select {', '.join(columns)} from tweets"), orient="row", strict=False)
    tweets.columns = columns
    known = migrations._migrations()
    world.warehouse.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(
            migrations, "_migrations", lambda: {number: name for number, name in known.items() if number < 100}
        )
        with writer(before) as warehouse:
            warehouse.connection.register("incoming", tweets.to_arrow())
            warehouse.connection.execute("insert into tweets by name from incoming")
            for version, condition in ((1, "true"), (2, "tweet_id < 1000")):
                warehouse.connection.execute(
                    f"insert into predictions select tweet_id, {version}, 0.5, 'positive', now(), 'r', null from tweets "
                    f"where {condition}"
                )
    assert rows_of(
        world, "select min(change_number), max(change_number), count(distinct change_number) from tweets"
    ) == [(1, 2400, 2400)]
    assert rows_of(world, LEDGER) == [(1, 1, 2401, 2400)]
    assert score().count_scored == 0
    assert score(model_version=2).count_scored == 1400
    checks_pass(world)


def test_a_run_with_nothing_to_do_reads_no_predictions(
    world: Home, registry: Registry, score: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    score()
    with writer(world) as warehouse:
        assert unscored_pieces(warehouse, 1) == []
    monkeypatch.setattr(scoring._Job, "run", None)
    assert score().is_published
