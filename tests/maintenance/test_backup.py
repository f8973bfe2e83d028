"""A backup holds everything at one moment; restored elsewhere, the home works there and nowhere else."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sentiment.errors import HomeError, InputError
from sentiment.maintenance import backup as module
from sentiment.maintenance.backup import backup, restore
from sentiment.maintenance.erasure import forget
from sentiment.registry.champion import promote
from sentiment.registry.client import Registry
from sentiment.scoring.score import score
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.query import query
from sentiment.warehouse.safeguard import metadata_copy_of
from sentiment.warehouse.snapshot import publish

TABLES = ("tweets", "gold_tweets", "ingest_files", "rejected_rows", "predictions", "alias_history", "forgotten")


@pytest.fixture
def used(world: Home, register: Callable, registry: Registry) -> Home:
    """A home with tweets, a champion that has scored them, a snapshot, and a database of Prefect's."""
    register(20)
    promote(world, registry, 1, changed_by="test", reason="test")
    score(world, registry, run_id="r")
    publish(world)
    with closing(sqlite3.connect(world.prefect / "prefect.db")) as database:
        database.execute("pragma journal_mode = wal")
        database.execute("create table deployment (name varchar, paused boolean)")
        database.execute("insert into deployment values ('retrain', true)")
        database.commit()
    (world.prefect / "server.json").write_text("{}")
    return world


@pytest.fixture
def elsewhere(tmp_path: Path) -> Home:
    """An empty home at another place."""
    return Home(tmp_path / "another place" / "home").create()


def contents(home: Home) -> dict[str, list[tuple[object, ...]]]:
    return {table: query(home, f"from {table} order by all").rows() for table in TABLES}


def test_a_restored_home_has_the_same_tables_champion_and_schedules_and_needs_the_old_one_no_more(
    used: Home, elsewhere: Home, tmp_path: Path, register: Callable
) -> None:
    expected = contents(used)
    made = backup(used, tmp_path)
    used.root.rename(tmp_path / "away")
    restored = restore(elsewhere, Path(made.path))
    assert restored.count_files == made.count_files
    assert contents(elsewhere) == expected
    registry = Registry(elsewhere)
    champion = registry.champion()
    assert champion is not None
    assert champion.model_version == 1
    assert registry.fed_rows(champion) is not None
    assert registry.load(1).predict_probability(["glad1 glad2"])[0] > 0.5
    assert score(elsewhere, registry, run_id="again").count_scored == 0
    with closing(sqlite3.connect(elsewhere.prefect / "prefect.db")) as database:
        assert database.execute("select * from deployment").fetchall() == [("retrain", 1)]
    assert not (elsewhere.prefect / "server.json").exists()


def test_a_home_that_was_moved_or_copied_works_where_it_is(used: Home, tmp_path: Path, lexicon_model: Callable) -> None:
    copied = Home(tmp_path / "copied")
    shutil.copytree(used.root, copied.root, symlinks=True)
    registry = Registry(copied)
    with registry.training_run("key", "run") as run_id:
        registry.log_text(run_id, "something", "note.txt")
    assert list(copied.mlflow.rglob("note.txt"))
    assert not list(used.mlflow.rglob("note.txt"))
    shutil.rmtree(used.root)
    assert registry.load(1).predict_probability(["glad1 glad2"])[0] > 0.5


def test_a_home_under_a_second_name_is_left_alone(used: Home, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(used.root)
    before = (used.mlflow / "mlflow.db").read_bytes()
    Registry(Home(tmp_path / "link"))
    assert (used.mlflow / "mlflow.db").read_bytes() == before


def test_backups_taken_while_tweets_are_loaded_hold_whole_files(
    home: Home,
    tweet_line: Callable,
    ingest_lines: Callable,
    checks_pass: Callable,
    tmp_path: Path,
) -> None:
    done = threading.Event()

    def load() -> None:
        for number in range(0, 8_000, 1_000):
            lines = [tweet_line(number + line, f"tweet {number + line}") for line in range(1_000)]
            ingest_lines(home, *lines, name=f"{number}.csv")
        done.set()

    loading = threading.Thread(target=load)
    loading.start()
    made = [backup(home.with_patience(60), tmp_path / f"{number}.tar.zst") for number in range(3)]
    loading.join()
    assert done.is_set()
    for number, report in enumerate(made):
        copy = Home(tmp_path / f"copy{number}").create()
        restore(copy, Path(report.path))
        checks_pass(copy)
        assert query(copy, "select count(*) % 1000 from tweets").item() == 0


def test_what_was_forgotten_stays_out_of_a_restored_home(
    home: Home, elsewhere: Home, tweet_line: Callable, ingest_lines: Callable, tmp_path: Path
) -> None:
    forget(home, tweet_ids=[7])
    made = backup(home, tmp_path)
    restore(elsewhere, Path(made.path))
    assert ingest_lines(elsewhere, tweet_line(7, "again")).rejected_by_reason == {"forgotten": 1}


def test_a_damaged_block_that_nothing_else_reads_is_not_backed_up(used: Home, tmp_path: Path) -> None:
    with writer(used) as warehouse:
        warehouse.connection.execute("create table old as select md5(range::varchar) as text from range(200_000)")
    content = bytearray(used.warehouse.read_bytes())
    place = content.rfind(hashlib.md5(b"150000").hexdigest()[:8].encode())
    content[place if place > 0 else len(content) * 3 // 4] ^= 1
    used.warehouse.write_bytes(content)
    with pytest.raises(HomeError, match="cannot be opened as a DuckDB"):
        backup(used, tmp_path / "kept.tar.zst")
    assert list(tmp_path.glob("kept*")) == []


def test_the_inbox_can_be_left_out(home: Home, elsewhere: Home, tmp_path: Path) -> None:
    (home.inbox / "waiting.csv").write_text("something")
    made = [backup(home, tmp_path / f"{kept}.tar.zst", with_inbox=kept) for kept in (True, False)]
    assert made[0].count_files == made[1].count_files + 1
    restore(elsewhere, Path(made[0].path))
    assert (elsewhere.inbox / "waiting.csv").read_text() == "something"


def test_a_home_that_holds_something_is_never_restored_into(home: Home, tmp_path: Path) -> None:
    made = backup(home, tmp_path)
    before = home.warehouse.read_bytes()
    with pytest.raises(InputError, match="is not empty: it holds 1 file"):
        restore(home, Path(made.path))
    assert home.warehouse.read_bytes() == before


@pytest.mark.parametrize("damage", ["flipped byte", "cut off", "no backup", "missing"])
def test_a_damaged_backup_restores_nothing_and_says_so(
    home: Home, elsewhere: Home, tmp_path: Path, damage: str
) -> None:
    path = Path(backup(home, tmp_path).path)
    content = bytearray(path.read_bytes())
    if damage == "flipped byte":
        content[len(content) // 2] ^= 0xFF
    path.write_bytes({"cut off": content[:-200], "no backup": b"hello " * 100}.get(damage, content))
    if damage == "missing":
        path.unlink()
    with pytest.raises(InputError, match=r"cannot be restored|There is no file"):
        restore(elsewhere, path)
    assert [found for found in elsewhere.root.rglob("*") if found.is_file() and found.parent != elsewhere.locks] == []


def test_a_restore_that_was_killed_is_finished_by_the_next(
    used: Home, elsewhere: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path(backup(used, tmp_path).path)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for step in ("_unpack", "relocate", "publish"):
        with monkeypatch.context() as patch:
            patch.setattr(module, step, die)
            with pytest.raises(KeyboardInterrupt):
                restore(elsewhere, made)
        if step == "relocate":
            with pytest.raises(InputError, match=re.escape(f"sentiment restore {made}")):
                restore(elsewhere, tmp_path / "other.tar.zst")
        if step == "publish":
            publish(elsewhere)
    assert contents(elsewhere) == contents(used)
    made.unlink()
    restore(elsewhere, made)  # All of it was unpacked.
    assert contents(elsewhere) == contents(used)
    assert Registry(elsewhere).load(1)


def test_a_file_that_an_interrupted_restore_lost_is_named(
    used: Home, elsewhere: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path(backup(used, tmp_path).path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_move", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            restore(elsewhere, made)
    (elsewhere.root / ".restoring" / "mlflow" / "mlflow.db").unlink()
    with pytest.raises(HomeError, match=r"mlflow\.db is missing"):
        restore(elsewhere, made)


@pytest.mark.parametrize(("name", "words"), [("there.tar.zst", "exists already"), ("no/where.tar.zst", "no folder")])
def test_a_place_that_cannot_be_written_to_is_refused(home: Home, tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "there.tar.zst").write_text("mine")
    with pytest.raises(InputError, match=words):
        backup(home, tmp_path / name)
    assert (tmp_path / "there.tar.zst").read_text() == "mine"


def test_a_backup_inside_the_home_is_refused(home: Home) -> None:
    with pytest.raises(InputError, match="is inside the home"):
        backup(home, home.root / "backup.tar.zst")


def test_a_backup_of_a_newer_version_is_refused(
    home: Home, elsewhere: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "known_migration", lambda: 9999)
        made = backup(home, tmp_path)
    with pytest.raises(InputError, match="made by a newer version"):
        restore(elsewhere, Path(made.path))


def test_a_backup_that_was_killed_leaves_nothing_under_its_name(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write", die)
    with pytest.raises(KeyboardInterrupt):
        backup(home, tmp_path / "b.tar.zst")
    assert list(tmp_path.glob("*.zst*")) == []
    with writer(home) as warehouse:
        assert warehouse.value("steps/warehouse/count_tweets") == 0


def test_what_is_kept_for_a_warehouse_that_is_gone_is_no_reason_to_refuse(home: Home, tmp_path: Path) -> None:
    made = backup(home, tmp_path)
    empty = Home(tmp_path / "fresh", home.settings).create()
    left = metadata_copy_of(empty.warehouse)
    left.write_bytes(b"of another file")
    assert made.count_files == restore(empty, Path(made.path)).count_files
    assert left.read_bytes() != b"of another file"
