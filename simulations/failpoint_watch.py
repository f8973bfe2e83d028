"""Notes every failpoint that a process passes, and stops there: audit hooks see files, the profiler sees commits."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb

from sentiment.warehouse.session import Warehouse

NOT_PROMISED = ("locks", "work")
"""Folders whose content means nothing after the process that wrote it."""
_DATABASES = (".db", ".duckdb")
_LOGS = (".wal", "-journal")


@dataclass(frozen=True)
class Moment:
    """A failpoint that a process is held at.

    Attributes:
        unflushed: what a power cut may do to what was written since the operation began and not flushed, by path below the root:
            `empty`, `missing` or both. What is in the files of DuckDB and SQLite is left to them, and so are their logs.
    """

    number: int
    unflushed: dict[str, tuple[str, ...]]


@dataclass
class Watch:
    """Notes every failpoint of this process.

    Attributes:
        root: only files below it count.
        at_point: called at each failpoint, before what follows it happens.
    """

    root: Path
    at_point: Callable[[Moment], None]
    seen: list[str] = field(default_factory=list)
    unflushed: list[str] = field(default_factory=list)
    _in_transaction: bool = False
    _flushed: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    _names: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    _folders: set[Path] = field(default_factory=set)
    _renamed: list[Path] = field(default_factory=list)
    _passing: threading.RLock = field(default_factory=threading.RLock)

    def install(self) -> None:
        """Watch all threads from now on."""
        fsync = os.fsync

        def noted(descriptor: int) -> None:
            fsync(descriptor)
            self._note(Path(f"/proc/self/fd/{descriptor}").readlink())

        for path in (self.root, *self.root.rglob("*")):
            if path.exists() and not path.is_symlink():
                self._note(path)
        os.fsync = noted  # type: ignore[assignment]
        sys.addaudithook(self._on_audit)
        threading.setprofile(self._on_call)
        sys.setprofile(self._on_call)

    def _note(self, path: Path) -> None:
        """A file's content, or a folder's names, are on the disk."""
        status = path.stat()
        self._flushed[status.st_dev, status.st_ino] = status.st_mtime_ns, status.st_size
        self._folders.discard(path)
        if path.is_dir():
            self._names[status.st_dev, status.st_ino] = {inside.name for inside in path.iterdir()}

    def _pass(self, name: str) -> None:
        with self._passing:
            self.at_point(Moment(len(self.seen), self._unflushed_now()))
            self.seen.append(name)

    def _unflushed_now(self) -> dict[str, tuple[str, ...]]:
        found = {}
        for text, folders, files in os.walk(self.root):
            folder = Path(text)
            folders[:] = [name for name in folders if name not in NOT_PROMISED]
            status = folder.stat()
            known = self._names.get((status.st_dev, status.st_ino), set())
            for name in (*folders, *files):
                path = folder / name
                if name.endswith(_LOGS):
                    continue
                fates = ["missing"] if name not in known else []
                if (
                    name in files
                    and not name.endswith(_DATABASES)
                    and not path.is_symlink()
                    and path.exists()
                    and self._not_flushed(path)
                ):
                    fates.append("empty")
                if fates:
                    found[str(path.relative_to(self.root))] = tuple(fates)
        return found

    def _on_audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("os.rename", "os.remove", "os.symlink", "os.link", "shutil.rmtree"):
            return
        paths = [Path(os.fsdecode(path)) for path in arguments[:2] if isinstance(path, str | bytes | os.PathLike)]
        inside = [path for path in paths if path.is_absolute() and path.is_relative_to(self.root)]
        if inside:
            self._pass(f"before {event} {inside[-1].name}")
        if event == "os.rename" and inside == paths:
            if paths[1].suffix not in (".db", ".duckdb"):
                self._renamed.append(paths[1])
            if not paths[0].name.startswith(".artifact.uploading"):
                self.unflushed += [f"{path.name}, renamed to {paths[1].name}" for path in self._not_flushed(paths[0])]
            self._folders.add(paths[1].parent)

    def _not_flushed(self, path: Path) -> list[Path]:
        found = []
        for written in (path, *path.rglob("*")):
            if written.is_symlink() or not written.exists():
                continue
            status = written.stat()
            if self._flushed.get((status.st_dev, status.st_ino)) != (status.st_mtime_ns, status.st_size):
                found.append(written)
        return found

    def end(self) -> None:
        """Look at what was renamed once more, when the operation has ended."""
        sys.setprofile(None)
        self.unflushed += [
            f"{path.name} at the end" for renamed in self._renamed for path in self._not_flushed(renamed)
        ]
        self.unflushed += [f"the folder {folder.name}" for folder in sorted(self._folders) if folder.exists()]
        # What lies next to a home is the simulation's own.
        self.unflushed += [f"{name} at the end" for name in self._unflushed_now() if "/" in name]

    def _on_call(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("c_call", "c_return"):
            return
        name = getattr(argument, "__name__", "")
        moment = "before" if event == "c_call" else "after"
        if name == "begin":
            self._in_transaction = True
        elif name == "commit":
            where = "sqlite" if "sqlite" in repr(argument) else "duckdb"
            self._pass(f"{moment} commit of {where}")
            if event == "c_return" and where == "duckdb":
                self._in_transaction = False
        elif name == "rollback":
            self._in_transaction = False
        elif name == "execute" and frame.f_code is Warehouse._execute.__code__ and not self._in_transaction:
            kind = frame.f_locals["statement"].type
            if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.SET, duckdb.StatementType.VARIABLE_SET):
                self._pass(f"{moment} {kind.name.lower()} of {frame.f_locals['script']}")
