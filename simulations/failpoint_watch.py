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


@dataclass
class Watch:
    """Notes every failpoint of this process.

    Attributes:
        root: only files below it count.
        at_point: called with the number of each failpoint, before what follows it happens.
    """

    root: Path
    at_point: Callable[[int], None]
    seen: list[str] = field(default_factory=list)
    _in_transaction: bool = False
    _passing: threading.RLock = field(default_factory=threading.RLock)

    def install(self) -> None:
        """Watch all threads from now on."""
        sys.addaudithook(self._on_audit)
        threading.setprofile(self._on_call)
        sys.setprofile(self._on_call)

    def _pass(self, name: str) -> None:
        with self._passing:
            self.at_point(len(self.seen))
            self.seen.append(name)

    def _on_audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("os.rename", "os.remove", "os.symlink", "os.link", "shutil.rmtree"):
            return
        paths = [Path(os.fsdecode(path)) for path in arguments[:2] if isinstance(path, str | bytes | os.PathLike)]
        inside = [path for path in paths if path.is_absolute() and path.is_relative_to(self.root)]
        if inside:
            self._pass(f"before {event} {inside[-1].name}")

    def end(self) -> None:
        """Stop watching this thread."""
        sys.setprofile(None)

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
