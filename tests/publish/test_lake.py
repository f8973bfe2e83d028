"""Scored tweets in a Delta Lake table: what changed alone, in one transaction, read by others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sentiment.errors import DatabaseError, InputError
from sentiment.maintenance.erasure import forget
from sentiment.publish import lake, publish_to
from sentiment.publish.report import TargetReport
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.query import query
from sentiment.warehouse.snapshot import publish

deltalake = pytest.importorskip("deltalake", reason="the extra `lake` is not installed")


@pytest.fixture
def filled(home: Home, tweet_line: Callable, ingest_lines: Callable) -> Home:
    """60 scored tweets on two days, published."""
    days = ["Mon Apr 06 22:19:45 UTC 2009", "Tue Apr 07 01:00:00 UTC 2009"]
    ingest_lines(home, *(tweet_line(number, f"tweet {number}", date=days[number % 2]) for number in range(60)))
    predict(home)
    return home


def predict(home: Home) -> None:
    """Predictions by version 1 for tweets without one."""
    with writer(home) as warehouse:
        warehouse.connection.execute(
            "insert into predictions by name select tweet_id, 1 as model_version, 0.75 as probability_positive, "
            "'positive' as label, now() as scored_at, 'run' as run_id from tweets "
            "where tweet_id not in (select tweet_id from predictions)"
        )
        warehouse.run("steps/registry/flip_published_model", model_version=1)
    publish(home)


def send(home: Home, folder: Path) -> TargetReport:
    return publish_to(home, f"delta://{folder}")


def is_as_published(home: Home, folder: Path) -> bool:
    expected = query(home, "select * from scored_tweets order by tweet_id")
    found = pl.read_delta(str(folder)).sort("tweet_id")
    return found.select(expected.columns).rows() == expected.rows()


def test_all_of_it_then_nothing_then_what_is_new(
    filled: Home, tmp_path: Path, tweet_line: Callable, ingest_lines: Callable
) -> None:
    folder = tmp_path / "scored_tweets"
    assert send(filled, folder).count_written == 60
    assert is_as_published(filled, folder)
    assert {path.name for path in folder.glob("day=*")} == {"day=2009-04-06", "day=2009-04-07"}
    assert send(filled, folder).is_unchanged
    assert deltalake.DeltaTable(folder).version() == 0
    ingest_lines(filled, *(tweet_line(number, f"tweet {number}") for number in range(100, 107)), name="new.csv")
    predict(filled)
    assert (send(filled, folder).count_written, deltalake.DeltaTable(folder).version()) == (7, 1)
    assert is_as_published(filled, folder)


def test_changed_and_forgotten_tweets_are_replaced_and_removed(
    filled: Home, tmp_path: Path, tweet_line: Callable, ingest_lines: Callable
) -> None:
    folder = tmp_path / "scored_tweets"
    send(filled, folder)
    ingest_lines(filled, tweet_line(8, "tweet 8", "0", date="Mon Apr 06 22:19:45 UTC 2009"), name="other.csv")
    publish(filled)
    assert send(filled, folder).count_written == 1
    forget(filled, tweet_ids=[3, 4])
    report = send(filled, folder)
    assert (report.count_written, report.count_removed) == (0, 2)
    assert is_as_published(filled, folder)
    texts = [pl.read_parquet(path)["text"].to_list() for path in folder.rglob("*.parquet")]
    assert not {"tweet 3", "tweet 4"} & {text for found in texts for text in found}


def test_a_killed_publication_leaves_the_old_state_and_the_next_one_sends_all(
    filled: Home, tmp_path: Path, tweet_line: Callable, ingest_lines: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scored_tweets"
    send(filled, folder)
    ingest_lines(filled, tweet_line(100, "tweet 100"), name="new.csv")
    predict(filled)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    merge = lake._merge
    for step in (die, lambda *arguments: die(merge(*arguments))):
        with monkeypatch.context() as patch:
            patch.setattr(lake, "_merge", step)
            with pytest.raises(KeyboardInterrupt):
                send(filled, folder)
        assert len(pl.read_delta(str(folder))) == (60 if step is die else 61)
    # The second one was killed after its commit: nothing is sent twice.
    assert send(filled, folder).is_unchanged
    assert is_as_published(filled, folder)


def test_of_two_publishers_at_once_one_fails_with_a_sentence(
    filled: Home, tmp_path: Path, tweet_line: Callable, ingest_lines: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scored_tweets"
    send(filled, folder)
    ingest_lines(filled, tweet_line(8, "tweet 8", "0"), name="new.csv")
    predict(filled)
    merge = lake._merge

    def be_second(snapshot: Any, table: Any, *rest: Any) -> None:
        merge(snapshot, deltalake.DeltaTable(folder), *rest)
        merge(snapshot, table, *rest)

    monkeypatch.setattr(lake, "_merge", be_second)
    with pytest.raises(DatabaseError, match="another publisher may have been faster"):
        send(filled, folder)
    assert deltalake.DeltaTable(folder).version() == 1


def test_a_table_of_somebody_else_and_a_missing_place_are_refused(filled: Home, tmp_path: Path) -> None:
    deltalake.write_deltalake(tmp_path / "theirs", pl.DataFrame({"a": [1]}))
    with pytest.raises(InputError, match="did not come from here"):
        send(filled, tmp_path / "theirs")
    with pytest.raises(InputError, match="names no folder"):
        publish_to(filled, "delta://")
    with pytest.raises(InputError, match="names no bucket"):
        publish_to(filled, "delta+s3:///prefix")
