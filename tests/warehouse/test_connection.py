"""One writer, many readers: what each may do, and what they say when they may not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from sentiment.errors import BusyError, HomeError, InputError
from sentiment.settings import Home, Settings
from sentiment.warehouse import connection as module
from sentiment.warehouse.connection import reader, translated_errors, writer
from sentiment.warehouse.locks import holder_of, operation_lock, working_as
from sentiment.warehouse.query import query
from sentiment.warehouse.session import SQL_FOLDER
from sentiment.warehouse.snapshot import publish

HOLD_LOCK = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""
HOLD_FILE = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def process(script: str, argument: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", script, str(argument)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "held\n"
        try:
            yield running
        finally:
            running.kill()


def test_migrations_are_applied_in_order_and_once(home: Home, rows_of: Callable) -> None:
    applied = rows_of(home, "select number, name, applied_at from schema_migrations")
    files = sorted(path.stem for path in (SQL_FOLDER / "tables").glob("*.sql"))
    assert [(number, name) for number, name, _ in applied] == [(int(file[:4]), file) for file in files]
    with writer(home):
        pass
    assert rows_of(home, "select number, name, applied_at from schema_migrations") == applied


def test_a_warehouse_that_is_opened_and_left_alone_does_not_change(home: Home) -> None:
    publish(home)
    before = home.warehouse.stat()
    with writer(home):
        pass
    assert not publish(home)
    assert home.warehouse.stat().st_mtime_ns == before.st_mtime_ns


def test_changed_views_are_applied_again(home: Home, rows_of: Callable) -> None:
    with writer(home) as warehouse:
        warehouse.connection.execute("drop view worst_mistakes; update view_state set digest = 'older'")
    assert rows_of(home, "from worst_mistakes") == []


def test_a_warehouse_of_a_newer_version_is_refused_and_stays(home: Home, rows_of: Callable) -> None:
    with writer(home) as warehouse:
        warehouse.connection.execute("insert into schema_migrations values (9999, '9999_future', now())")
    before = home.warehouse.read_bytes()
    with pytest.raises(HomeError, match=r"newer version \(it has schema migration 9999, this version knows "):
        rows_of(home, "select 1")
    assert home.warehouse.read_bytes() == before


@pytest.mark.parametrize("damage", ["text", "header", "middle", "half"])
def test_a_damaged_warehouse_is_a_sentence_at_once_and_stays_as_it_is(
    home: Home, ingest_lines: Callable, tweet_line: Callable, damage: str, settings: Settings
) -> None:
    ingest_lines(home, *(tweet_line(number, f"tweet number {number}") for number in range(3000)))
    content = home.warehouse.read_bytes()
    length = len(content)
    damaged = {
        "text": b"this was a database once\n" * 2000,
        "header": content[:4096] + os.urandom(8192) + content[12288:],
        "middle": content[:12288] + os.urandom(length - 12288),
        "half": content[: length // 2],
    }[damage]
    home.warehouse.write_bytes(damaged)
    began = time.monotonic()
    with (
        pytest.raises(HomeError, match=r"cannot be opened as a DuckDB 1\.x file .*copy the last .* restore a backup"),
        writer(home) as warehouse,
    ):
        warehouse.connection.execute("select sum(length(text)), sum(text_key), max(user_name) from tweets").fetchall()
    assert time.monotonic() - began < settings.writer_wait_seconds
    assert home.warehouse.read_bytes() == damaged


def test_a_writer_waits_for_another_process_says_so_once_and_gives_up_in_a_sentence(home: Home) -> None:
    said: list[str] = []
    with (
        process(HOLD_LOCK, home.locks / "warehouse.lock"),
        pytest.raises(BusyError, match=r"warehouse of .* held by another run for more than 0 s"),
        writer(replace(home.with_patience(0), on_wait=said.append)),
    ):
        pass
    assert said == ["waiting for another run, which holds warehouse"]


def test_the_name_of_a_new_warehouse_survives_a_power_cut(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr("sentiment.warehouse.connection.flush_to_disk", flushed.append)
    home.warehouse.unlink(missing_ok=True)
    for _ in range(2):
        with writer(home):
            pass
    assert flushed == [home.root]


def test_a_writer_says_whom_it_waits_for(home: Home) -> None:
    with working_as("retrain next subset"), operation_lock(home, "warehouse"):
        said: list[str] = []
        with pytest.raises(BusyError), writer(replace(home.with_patience(0), on_wait=said.append)):
            pass
    assert said == [f"waiting for retrain next subset (process {os.getpid()}), which holds warehouse"]
    (home.locks / "warehouse.holder").write_text("999999999\nlong gone")
    assert holder_of(home.locks / "warehouse.lock") == "another run"


def test_a_writer_names_the_other_program_that_has_the_file_open(home: Home) -> None:
    said: list[str] = []
    with (
        process(HOLD_FILE, home.warehouse) as holder,
        pytest.raises(BusyError, match="is open in another program"),
        writer(replace(home.with_patience(0.5), on_wait=said.append)),
    ):
        pass
    assert len(said) == 1
    assert f"(PID {holder.pid})" in said[0]


def test_a_lock_ends_with_the_process_that_held_it(home: Home) -> None:
    with process(HOLD_LOCK, home.locks / "score.lock") as holder:
        holder.kill()
        holder.wait()
        with operation_lock(home.with_patience(0), "score"):
            pass


def test_a_warehouse_that_is_open_in_another_program_is_named(home: Home) -> None:
    with (
        process(HOLD_FILE, home.warehouse),
        pytest.raises(BusyError, match=r"is open in another program .*people read .*sentiment\.duckdb"),
        writer(home.with_patience(0)),
    ):
        pass


def test_a_home_that_became_read_only_is_a_sentence(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException('IO Error: Cannot open file "/x/warehouse.duckdb": Permission denied')

    monkeypatch.setattr(module.duckdb, "connect", refuse)
    with (
        pytest.raises(HomeError, match=r"cannot be written .*Check its permissions or set SENTIMENT_HOME"),
        writer(home),
    ):
        pass


@pytest.fixture
def write_and_fail(home: Home) -> Callable[[BaseException], None]:
    """Ends a transaction that has written something by an error."""

    def write(error: BaseException) -> None:
        with writer(home) as warehouse, warehouse.transaction():
            warehouse.connection.execute("insert into published_model values (7, now())")
            raise error

    return write


def test_a_full_disk_is_a_sentence_and_nothing_changed(home: Home, write_and_fail: Callable, rows_of: Callable) -> None:
    with pytest.raises(HomeError, match=r"is full\. What was finished is kept: free some space"):
        write_and_fail(OSError(28, "No space left on device"))
    assert rows_of(home, "from published_model") == []


def test_a_transaction_is_all_or_nothing_whatever_ends_it(
    home: Home, write_and_fail: Callable, rows_of: Callable
) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_and_fail(KeyboardInterrupt())
    assert rows_of(home, "from published_model") == []


def test_statements_get_just_the_parameters_that_they_name(home: Home, rows_of: Callable) -> None:
    with writer(home) as warehouse:
        warehouse.run("steps/registry/flip_published_model", model_version=3)
        warehouse.run("steps/registry/flip_published_model", model_version=3)
        warehouse.run("steps/registry/flip_published_model", model_version=4)
    assert rows_of(home, "select model_version from published_model") == [(4,)]


def test_nothing_published_yet_says_how_to_start(home: Home) -> None:
    with pytest.raises(HomeError, match=r"Nothing has been published .* yet.*Start with `sentiment ingest PATH`"):
        query(home, "select 1")


def test_a_damaged_snapshot_is_a_sentence(home: Home) -> None:
    home.published.write_bytes(b"no database" * 2000)
    with pytest.raises(HomeError, match=r"The published snapshot .* is damaged .* Replace it: rm "):
        query(home, "select 1")


def test_a_query_gives_a_frame(home: Home) -> None:
    publish(home)
    assert query(home, "select count(*) as tweets from tweets").to_dicts() == [{"tweets": 0}]
    assert query(home, "select now() as now").schema == {"now": pl.Datetime("us", "UTC")}


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('/etc/passwd')",
        "from '/etc/passwd'",
        "attach '{home}/warehouse.duckdb' as other",
        "copy tweets to '{home}/out.csv'",
        "create table notes (text varchar)",
        "delete from tweets",
        "insert into published_model values (1, now())",
        "set enable_external_access = true",
        "install httpfs",
        "load '/tmp/extension'",
        "select * from no_such_table",
        "selekt 1",
        "",
    ],
)
def test_a_query_can_read_the_snapshot_and_nothing_else(home: Home, statement: str) -> None:
    publish(home)
    before = home.published.read_bytes()
    with pytest.raises(InputError, match=r"^The query "):
        query(home, statement.format(home=home.root))
    assert home.published.read_bytes() == before
    assert not (home.root / "out.csv").exists()


def test_readers_do_not_keep_a_writer_out_nor_the_other_way_round(home: Home) -> None:
    publish(home)
    with reader(home) as snapshot, writer(home) as warehouse:
        warehouse.connection.execute("insert into published_model values (1, now())")
        assert snapshot.connection.execute("select count(*) from published_model").fetchone() == (0,)
        assert query(home, "from published_model").is_empty()


def test_readers_of_one_process_are_each_locked_and_in_utc(home: Home) -> None:
    publish(home)
    with reader(home):
        assert query(home, "select current_setting('TimeZone') as zone").item() == "UTC"
        with pytest.raises(InputError):
            query(home, "from '/etc/passwd'")


def test_a_loaded_table_is_freed_before_the_transaction_ends(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[weakref.ref[pa.Table]] = []
    convert = pl.DataFrame.to_arrow

    def to_arrow(frame: pl.DataFrame) -> pa.Table:
        table = convert(frame)
        tables.append(weakref.ref(table))
        return table

    monkeypatch.setattr(pl.DataFrame, "to_arrow", to_arrow)
    with writer(home) as warehouse, warehouse.transaction():
        for number in range(3):
            ids = pl.DataFrame({"tweet_id": [number]})
            assert warehouse.load("steps/ingest/select_known_ids", ids, least=0, greatest=9).is_empty()
        assert [table() for table in tables[:2]] == [None, None]


def test_a_file_outside_of_the_home_is_named_and_not_the_home(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "backup.tar.zst"
    message = r"backup\.tar\.zst may not be read or written by this user"
    with pytest.raises(HomeError, match=message) as raised, translated_errors(home):
        raise PermissionError(13, "Permission denied", str(path))
    assert "SENTIMENT_HOME" not in str(raised.value)
