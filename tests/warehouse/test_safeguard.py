"""A warehouse opens after a power cut in a checkpoint or a commit, with all that was committed."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from sentiment.errors import HomeError
from sentiment.settings import Home
from sentiment.warehouse import safeguard
from sentiment.warehouse.connection import rewrite, writer

BLOCK = 262_144
FIRST_BLOCK = 12_288


@pytest.fixture
def filled(home: Home) -> Home:
    """A warehouse with a table of names, and a checkpoint."""
    with writer(home) as warehouse, warehouse.transaction():
        warehouse.connection.execute("create table names as select 'name ' || i as name from range(100) as numbers (i)")
    return home


def names(home: Home) -> set[str]:
    with writer(home) as warehouse:
        return {name for (name,) in warehouse.connection.execute("select name from names").fetchall()}


def files(home: Home) -> list[Path]:
    path = home.warehouse
    return [file for file in (path, safeguard.log_of(path), safeguard.metadata_copy_of(path)) if file.exists()]


def interrupted(home: Home, folder: Path, *added: str) -> None:
    """Leave the home's files as they are after these commits and before the checkpoint that follows them."""
    with writer(home) as warehouse:
        for name in added:
            with warehouse.transaction():
                warehouse.connection.execute("insert into names values (?)", [name])
        folder.mkdir()
        for file in files(home):
            shutil.copy2(file, folder)
    # What the checkpoint made of the database.
    shutil.copy2(home.warehouse, folder.with_suffix(".after"))
    for file in folder.iterdir():
        shutil.copy2(file, home.root)


def test_metadata_that_a_checkpoint_tore_is_put_back(
    filled: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = names(filled)
    interrupted(filled, tmp_path / "cut", "new")
    old, new = filled.warehouse.read_bytes(), (tmp_path / "cut.after").read_bytes()
    torn = bytearray(old)
    for start in range(FIRST_BLOCK, len(old), BLOCK):
        # Half of each block that the checkpoint writes is there.
        torn[start : start + BLOCK // 2] = new[start : start + BLOCK // 2]
    filled.warehouse.write_bytes(torn)
    alone = tmp_path / "alone.duckdb"
    shutil.copy(filled.warehouse, alone)
    with pytest.raises(duckdb.IOException, match="Corrupt database file"):
        duckdb.connect(str(alone))
    assert names(filled) == before | {"new"}
    assert "a checkpoint was interrupted" in caplog.text


@pytest.mark.parametrize("what", ["another", "nothing", "torn"])
def test_a_copy_of_another_checkpoint_changes_nothing(filled: Home, what: str) -> None:
    before = names(filled)
    copy = safeguard.metadata_copy_of(filled.warehouse)
    kept = copy.read_bytes()
    with writer(filled) as warehouse, warehouse.transaction():
        warehouse.connection.execute("insert into names values ('later')")
    if what == "another":
        copy.write_bytes(kept)
    elif what == "nothing":
        copy.unlink()
    else:
        copy.write_bytes(copy.read_bytes()[:-100])
    changed = filled.warehouse.read_bytes()
    assert not safeguard.put_back_torn_metadata(filled.warehouse)
    assert filled.warehouse.read_bytes() == changed
    assert names(filled) == before | {"later"}


@pytest.mark.parametrize("tear", ["zeros", "noise"])
def test_a_commit_that_was_torn_is_cut_off_and_those_before_it_stay(
    filled: Home, tmp_path: Path, tear: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = names(filled)
    interrupted(filled, tmp_path / "cut", "whole", "torn" * 50)
    log = safeguard.log_of(filled.warehouse)
    content = bytearray(log.read_bytes())
    start = content.index(b"torn")
    content[start : start + 100] = bytes(100) if tear == "zeros" else b"n" * 100
    log.write_bytes(content)
    assert names(filled) == before | {"whole"}
    assert "a transaction that was not finished" in caplog.text


def test_damage_before_a_whole_commit_is_named_and_nothing_is_cut(filled: Home, tmp_path: Path) -> None:
    interrupted(filled, tmp_path / "cut", "flipped" * 50, "whole")
    log = safeguard.log_of(filled.warehouse)
    content = log.read_bytes().replace(b"flipped", b"flopped", 1)
    log.write_bytes(content)
    with pytest.raises(HomeError, match="cannot be opened"):
        names(filled)
    assert log.read_bytes() == content


def test_names_of_logs_are_flushed_when_they_come_and_go(filled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[tuple[Path, bool]] = []
    log = safeguard.log_of(filled.warehouse)
    monkeypatch.setattr(safeguard, "flush_to_disk", lambda path: flushed.append((path, log.exists())))
    with writer(filled) as warehouse:
        flushed.clear()
        for name in ("one", "two"):
            with warehouse.transaction():
                warehouse.connection.execute("insert into names values (?)", [name])
        assert flushed == [(filled.root, True)]
    assert flushed[-1] == (filled.root, False)


def test_what_belongs_to_a_file_that_is_replaced_is_gone_for_good_before(
    filled: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Path]] = []

    def noted(path: Path) -> None:
        if path == filled.root:
            seen.append(files(filled))

    monkeypatch.setattr(safeguard, "flush_to_disk", noted)
    rewrite(filled)
    assert seen[-1] == [filled.warehouse]
