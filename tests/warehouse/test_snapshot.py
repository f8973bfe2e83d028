"""The snapshot that people read: complete, new under a moved link, and old for readers that have it open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sentiment.errors import HomeError
from sentiment.settings import Home, Settings
from sentiment.warehouse import snapshot
from sentiment.warehouse.connection import reader
from sentiment.warehouse.query import query
from sentiment.warehouse.snapshot import publish


@pytest.fixture
def add_tweet(home: Home, tweet_line: Callable, ingest_lines: Callable) -> Callable[[int], None]:
    return lambda number: ingest_lines(home, tweet_line(number, f"tweet {number}"), name=f"{number}.csv")


def snapshots(home: Home) -> list[Path]:
    return sorted(path for path in home.published.parent.iterdir() if not path.is_symlink())


def count_published(home: Home) -> int:
    count: int = query(home, "select count(*) as tweets from tweets").item()
    return count


def test_a_snapshot_holds_what_the_warehouse_holds_with_its_comments_and_views(
    home: Home, add_tweet: Callable, rows_of: Callable
) -> None:
    add_tweet(1)
    assert publish(home)
    assert home.published.is_symlink()
    assert count_published(home) == 1
    query_of_comments = "select table_name, comment from duckdb_tables() order by 1"
    assert query(home, query_of_comments).rows() == rows_of(home, query_of_comments)
    assert query(home, "select count(*) as views from scored_tweets").item() == 0


def test_what_is_up_to_date_is_not_copied_again(home: Home, add_tweet: Callable) -> None:
    add_tweet(1)
    assert publish(home)
    before = snapshots(home)
    assert not publish(home)
    assert snapshots(home) == before
    add_tweet(2)
    assert publish(home)
    assert count_published(home) == 2


def test_an_open_reader_keeps_its_snapshot_and_the_next_gets_the_new_one(
    home: Home, settings: Settings, add_tweet: Callable
) -> None:
    impatient = settings.model_copy(update={"keep_snapshots": 1})
    add_tweet(1)
    publish(replace(home, settings=impatient))
    with reader(home) as old:
        add_tweet(2)
        assert publish(replace(home, settings=impatient))
        assert len(snapshots(home)) == 1
        assert old.connection.execute("select count(*) from tweets").fetchone() == (1,)
        assert count_published(home) == 2


def test_a_tool_that_opens_the_link_read_only_sees_the_newest(home: Home, add_tweet: Callable) -> None:
    for number in range(2):
        add_tweet(number)
        publish(home)
        with duckdb.connect(str(home.published.resolve()), read_only=True) as connection:
            assert connection.execute("select count(*) from tweets").fetchone() == (number + 1,)


def test_the_link_moves_in_one_step_to_a_finished_file(
    home: Home, add_tweet: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_tweet(1)
    publish(home)
    seen: list[int] = []
    copyfile, replace = shutil.copyfile, os.replace

    def looking(step: Callable[..., Any]) -> Callable[..., Any]:
        def look(*args: Any, **options: Any) -> Any:
            seen.append(count_published(home))
            result = step(*args, **options)
            seen.append(count_published(home))
            return result

        return look

    add_tweet(2)
    monkeypatch.setattr(snapshot.shutil, "copyfile", looking(copyfile))
    monkeypatch.setattr(snapshot.os, "replace", looking(replace))
    publish(home)
    assert seen == [1, 1, 1, 1, 1, 2]


def test_old_snapshots_are_pruned_and_the_newest_stay(home: Home, settings: Settings, add_tweet: Callable) -> None:
    made = []
    for number in range(5):
        add_tweet(number)
        publish(home)
        made.append(home.published.resolve())
    assert snapshots(home) == made[-settings.keep_snapshots :]


@pytest.mark.parametrize("step", ["copyfile", "fsync", "replace", "link"])
def test_a_kill_at_any_step_leaves_the_old_snapshot_and_is_made_good_by_the_next_run(
    home: Home, add_tweet: Callable, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    add_tweet(1)
    publish(home)
    add_tweet(2)

    def die(source: Any, *_: Any) -> None:
        raise KeyboardInterrupt

    target = {"copyfile": snapshot.shutil, "fsync": snapshot.os, "replace": snapshot.os}.get(step, snapshot)
    with monkeypatch.context() as patch:
        patch.setattr(target, {"link": "_point_to"}.get(step, step), die)
        with pytest.raises(KeyboardInterrupt):
            publish(home)
    assert count_published(home) == 1
    assert publish(home)
    assert count_published(home) == 2


def test_leftovers_of_killed_runs_are_removed(home: Home, add_tweet: Callable) -> None:
    folder = home.published.parent
    (folder / "sentiment-20200101T000000000000.part").write_bytes(b"half")
    (folder / ".sentiment-20200101T000000000000.duckdb.link").symlink_to("nowhere")
    add_tweet(1)
    publish(home)
    assert sorted(folder.iterdir()) == sorted([home.published, home.published.resolve()])


def test_a_full_disk_leaves_the_old_snapshot_and_no_half_one(
    home: Home, add_tweet: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_tweet(1)
    publish(home)
    before = snapshots(home)
    add_tweet(2)

    def fill_up(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(snapshot.shutil, "copyfile", fill_up)
        with pytest.raises(HomeError, match="is full"):
            publish(home)
    assert snapshots(home) == before
    assert count_published(home) == 1


def test_a_snapshot_of_an_earlier_version_says_how_to_publish_again(home: Home, add_tweet: Callable) -> None:
    add_tweet(1)
    publish(home)
    with duckdb.connect(str(home.published.resolve())) as earlier:
        earlier.execute("delete from schema_migrations where number = (select max(number) from schema_migrations)")
    with (
        pytest.raises(HomeError, match=r"earlier version of this program\. Publish it again: sentiment score"),
        reader(home),
    ):
        pass
    publish(home, afresh=True)
    with reader(home) as found:
        assert found.value("steps/warehouse/count_tweets") == 1
