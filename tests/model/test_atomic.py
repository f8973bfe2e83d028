"""A file is replaced whole or not at all, and flushed in the order that a power cut demands."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sentiment.model import atomic
from sentiment.model.atomic import atomic_folder, atomic_write, draft_of


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with atomic_write(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as draft:
            draft.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_draft_of_a_killed_process_is_not_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    draft_of(path).write_text("half")
    with atomic_write(path) as draft:
        assert not draft.exists()
        draft.write_text("new")
    assert path.read_text() == "new"


def test_a_secret_is_private_before_its_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with atomic_write(path, mode=0o600) as draft:
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        draft.write_text("secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_content_is_flushed_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps = tmp_path / "a.json", []
    flush, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append(("flush", os.fstat(descriptor).st_ino))
        flush(descriptor)

    def replace(self: Path, target: Path) -> Path:
        steps.append(("rename", self.stat().st_ino))
        return rename(self, target)

    monkeypatch.setattr(atomic.os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    with atomic_write(path) as draft:
        draft.write_text("new")
        inode = draft.stat().st_ino
    assert steps == [("flush", inode), ("rename", inode), ("flush", tmp_path.stat().st_ino)]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    for names in (["a", "b"], ["c"]):
        with atomic_folder(path) as draft:
            for name in names:
                (draft / name).write_text(name)
        assert sorted(file.name for file in path.iterdir()) == names

    def fail() -> None:
        with atomic_folder(path) as draft:
            (draft / "d").write_text("d")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [file.name for file in path.iterdir()] == ["c"]
    assert list(tmp_path.iterdir()) == [path]
