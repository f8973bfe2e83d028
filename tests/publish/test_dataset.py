"""Scored tweets as Parquet files by day: the days that changed alone, each whole, read by others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset
import pytest

from sentiment.errors import DatabaseError, InputError
from sentiment.maintenance.erasure import forget
from sentiment.publish import dataset, publish_to
from sentiment.publish.report import TargetReport
from sentiment.settings import Home
from sentiment.warehouse.query import query
from sentiment.warehouse.snapshot import publish
from tests.publish.test_lake import predict

DAYS = [f"{day} 22:19:45 UTC 2009" for day in ("Mon Apr 06", "Tue Apr 07", "Wed Apr 08")]


@pytest.fixture
def filled(home: Home, tweet_line: Callable, ingest_lines: Callable) -> Home:
    """60 scored tweets on three days and 20 of an unknown day, published."""
    ingest_lines(home, *(tweet_line(number, f"tweet {number}", date=DAYS[number % 3]) for number in range(60)))
    ingest_lines(
        home, *(tweet_line(number, f"tweet {number}", date="") for number in range(60, 80)), name="undated.csv"
    )
    predict(home)
    return home


def send(home: Home, folder: Path) -> TargetReport:
    return publish_to(home, f"parquet://{folder}")


def files_of(folder: Path) -> dict[str, int]:
    """Each file and its inode: another one after it was replaced."""
    return {str(path.relative_to(folder)): path.stat().st_ino for path in folder.rglob("*.parquet")}


def is_as_published(home: Home, folder: Path) -> bool:
    """By polars and pyarrow reading the folder, and by DuckDB."""
    expected = query(home, "select *, posted_at::date as day from scored_tweets order by tweet_id")
    by_duckdb = duckdb.sql(
        f"from read_parquet('{folder}/*/*.parquet', hive_partitioning = true) order by tweet_id"
    ).pl()
    by_arrow = pl.DataFrame(pyarrow.dataset.dataset(folder, partitioning="hive").to_table()).sort("tweet_id")
    by_arrow = by_arrow.with_columns(pl.col("day").str.to_date())
    found = [pl.scan_parquet(folder).sort("tweet_id").collect(), by_duckdb, by_arrow]
    return all(frame.select(expected.columns).rows() == expected.rows() for frame in found)


def test_all_days_then_none_then_those_that_changed(
    filled: Home, tmp_path: Path, tweet_line: Callable, ingest_lines: Callable
) -> None:
    folder = tmp_path / "scored_tweets"
    assert send(filled, folder).count_written == 80
    assert is_as_published(filled, folder)
    before = files_of(folder)
    assert sorted(before) == [
        *(f"day=2009-04-0{day}/scored_tweets.parquet" for day in (6, 7, 8)),
        "day=__HIVE_DEFAULT_PARTITION__/scored_tweets.parquet",
    ]
    assert send(filled, folder).is_unchanged
    assert files_of(folder) == before

    ingest_lines(filled, *(tweet_line(number, "new", date=DAYS[1]) for number in range(100, 107)), name="new.csv")
    predict(filled)
    assert send(filled, folder).count_written == 27
    after = files_of(folder)
    assert {name for name in after if after[name] != before[name]} == {"day=2009-04-07/scored_tweets.parquet"}
    assert is_as_published(filled, folder)


def test_forgotten_tweets_leave_the_files_and_an_empty_day_its_folder(filled: Home, tmp_path: Path) -> None:
    folder = tmp_path / "scored_tweets"
    send(filled, folder)
    forget(filled, tweet_ids=[1, 4, *range(60, 80)])
    report = send(filled, folder)
    assert (report.count_written, report.count_removed) == (18, 22)
    assert is_as_published(filled, folder)
    assert sorted(path.name for path in folder.iterdir()) == [f"day=2009-04-0{day}" for day in (6, 7, 8)]
    assert "tweet 4" not in pl.read_parquet(folder / "day=2009-04-07/*.parquet")["text"].to_list()


@pytest.mark.parametrize("step", ["_finish", "put_in_place", "_remove"])
def test_a_killed_publication_leaves_whole_days_and_the_next_one_writes_the_rest(
    filled: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folder = tmp_path / "scored_tweets"
    send(filled, folder)
    forget(filled, tweet_ids=[0, 1, 2, *range(60, 80)])
    done: list[Any] = []
    whole = getattr(dataset, step)

    def die(*arguments: Any) -> None:
        if done or step == "_remove":
            raise KeyboardInterrupt
        done.append(whole(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(dataset, step, die)
        with pytest.raises(KeyboardInterrupt):
            send(filled, folder)
    assert len(pl.read_parquet(folder)) in (79, 77)
    before = files_of(folder)
    report = send(filled, folder)
    assert report.count_written == (0 if step == "_remove" else 38)
    assert is_as_published(filled, folder)
    assert sum(files_of(folder)[name] == before[name] for name in files_of(folder)) == (3 if step == "_remove" else 1)


def test_a_day_that_is_missing_or_damaged_is_written_again(filled: Home, tmp_path: Path) -> None:
    folder = tmp_path / "scored_tweets"
    send(filled, folder)
    (folder / "day=2009-04-06" / dataset.FILE).unlink()
    (folder / "day=2009-04-07" / dataset.FILE).write_bytes(b"PAR1 and then nothing")
    assert send(filled, folder).count_written == 40
    assert is_as_published(filled, folder)


def test_of_two_publishers_at_once_one_is_refused(
    filled: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scored_tweets"
    finish, refused = dataset._finish, []

    def be_second(*arguments: Any) -> None:
        if not refused:
            with pytest.raises(DatabaseError, match="Another publisher is writing to parquet:///") as caught:
                send(filled, folder)
            refused.append(caught.value)
        finish(*arguments)

    monkeypatch.setattr(dataset, "_finish", be_second)
    assert send(filled, folder).count_written == 80
    assert len(refused) == 1
    assert is_as_published(filled, folder)


@pytest.mark.parametrize("name", ["notes.txt", "day=2009-04-06/theirs.parquet", "day=2009-04-06/scored_tweets.parquet"])
def test_a_folder_with_files_of_somebody_else_is_left_alone(filled: Home, tmp_path: Path, name: str) -> None:
    path = tmp_path / "theirs" / name
    path.parent.mkdir(parents=True)
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(InputError, match="did not come from here"):
        send(filled, tmp_path / "theirs")
    assert [found for found in (tmp_path / "theirs").rglob("*") if found.is_file()] == [path]


def test_addresses_that_name_no_folder_and_folders_that_cannot_be_written_are_sentences(
    filled: Home, tmp_path: Path
) -> None:
    for address in ("parquet://", "parquet://host/folder"):
        with pytest.raises(InputError, match="names no folder"):
            publish_to(filled, address)
    with pytest.raises(InputError, match="delta\\+s3://bucket/prefix"):
        publish_to(filled, "parquet+s3://bucket/prefix")
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match="could not be written"):
        send(filled, tmp_path / "file" / "folder")


def test_a_new_champion_is_in_every_day(filled: Home, tmp_path: Path) -> None:
    from sentiment.warehouse.connection import writer

    folder = tmp_path / "scored_tweets"
    send(filled, folder)
    with writer(filled) as warehouse:
        warehouse.connection.execute(
            "insert into predictions by name select tweet_id, 2 as model_version, 0.25 as probability_positive, "
            "'negative' as label, now() as scored_at, 'run' as run_id from tweets"
        )
        warehouse.run("steps/registry/flip_published_model", model_version=2)
    publish(filled)
    assert send(filled, folder).count_written == 80
    assert is_as_published(filled, folder)
