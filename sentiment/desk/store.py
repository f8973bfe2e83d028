"""The snapshot that pages show, and the search index made of it: one pair at a time, replaced when another is published.

A request that comes while the next pair is prepared is answered from the pair before, so nobody waits but on the very first
start; for a small home even that takes less than a second. Connections are shared and each request takes a cursor.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import polars as pl

from sentiment.desk.kept import Kept, TableStates
from sentiment.errors import HomeError
from sentiment.settings import Home
from sentiment.warehouse.connection import reader, tells_of_damage
from sentiment.warehouse.search_index import index_path, open_shared
from sentiment.warehouse.session import Warehouse

SECONDS_TO_WAIT_FOR_FIRST = 2.0
SECONDS_TO_WAIT_FOR_NEXT = 0.25
SECONDS_UNTIL_TRIED_AGAIN = 60.0
SECONDS_TO_CLOSE = 10.0

log = logging.getLogger(__name__)


class PreparingError(Exception):
    """The first index is being built; the message says what is done at the moment."""


@dataclass
class View:
    """One snapshot with its index; used from any thread. What `…_once` keeps outlives it as long as it is true."""

    snapshot_path: Path
    index_path: Path
    snapshot_connection: Any
    index_connection: Any
    kept: Kept
    states: TableStates

    @property
    def snapshot(self) -> Warehouse:
        """The published tables."""
        return Warehouse(self.snapshot_connection.cursor())

    @property
    def index(self) -> Warehouse:
        """The tables of `sql/desk/index/`."""
        return Warehouse(self.index_connection.cursor())

    def rows(self, script: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of `sql/desk/<script>.sql` on the published tables."""
        return list(self.snapshot.frame(f"desk/{script}", **parameters).iter_rows(named=True))

    def frame_once(self, script: str, /, **parameters: Any) -> pl.DataFrame:
        """Rows of `sql/<script>.sql` on the published tables, kept until one that it reads changes."""
        key = (script, repr(parameters), self.states.of(script))
        return self.kept.once(key, lambda: self.snapshot.frame(script, **parameters))

    def rows_once(self, script: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """The same, of `sql/desk/<script>.sql`."""
        return list(self.frame_once(f"desk/{script}", **parameters).iter_rows(named=True))

    def indexed(self, script: str, /, **parameters: Any) -> pl.DataFrame:
        """Rows of `sql/desk/<script>.sql` on the index."""
        return self.index.frame(f"desk/{script}", **parameters)

    def indexed_once(self, script: str, /, **parameters: Any) -> pl.DataFrame:
        """The same, kept as long as the index is used."""
        key = (script, repr(parameters), self.index_path.name)
        return self.kept.once(key, lambda: self.indexed(script, **parameters))


class Store:
    """Gives the newest view of a home."""

    def __init__(self, home: Home, prepare: Callable[[View], Iterable[None]] = lambda view: ()) -> None:
        """Follow a home.

        Args:
            prepare: computes what pages will ask of a new view, step by step, so that nobody waits for it.
        """
        self.home, self.prepare = home, prepare
        self.kept = Kept()
        self.is_closed = False
        self._lock = Lock()
        self._view: View | None = None
        self._next: Next | None = None
        self._count_damaged = 0

    def view(self) -> View:
        """The newest snapshot whose index is ready.

        Raises:
            HomeError: nothing has been published yet, the snapshot is damaged, or the index cannot be built.
            PreparingError: the first index is being built.
        """
        snapshot = self.home.published.resolve()
        if (view := self._view) is not None and view.snapshot_path == snapshot and snapshot.exists():
            return view
        with self._lock:
            if self._next is None or self._next.is_to_be_tried_again:
                self._next = Next(self, snapshot)
            following = self._next
        if view is None:
            following.is_shown.wait(SECONDS_TO_WAIT_FOR_FIRST)
        else:
            # A new snapshot with the index of the one before is ready in a moment; for another index nobody waits.
            following.is_shown.wait(following.started_at + SECONDS_TO_WAIT_FOR_NEXT - time.monotonic())
        if following.error is not None:
            raise HomeError(following.error)
        if self._view is None:
            if following.problem:
                raise HomeError(following.problem)
            raise PreparingError(following.step)
        return self._view

    def index_path(self) -> Path:
        """Where the index of the newest snapshot is, or will be. DuckDB knows what is open by its path, so one that takes the
        place of a damaged one has another."""
        path = index_path(self.home)
        return path.with_stem(f"{path.stem}-{self._count_damaged}") if self._count_damaged else path

    def replace_damaged(self) -> None:
        """After an error that tells of damage: remove an index that cannot be read, so that another one is built.

        Raises:
            HomeError: the published snapshot is damaged.
        """
        with reader(self.home) as snapshot:
            snapshot.read_all()
        with self._lock:
            self._view = self._next = None
            self.index_path().unlink(missing_ok=True)
            self._count_damaged += 1

    def show(self, view: View) -> None:
        """Answer from a view from now on."""
        self._view = view
        for other in view.index_path.parent.glob("*.duckdb"):
            if other != view.index_path:
                other.unlink(missing_ok=True)

    def close(self) -> None:
        """End what is being prepared: a process that ends while one of its threads is in DuckDB is aborted."""
        self.is_closed = True
        with self._lock:
            following = self._next
        if following is not None:
            following.stop()
            following.join(SECONDS_TO_CLOSE)

    @property
    def shown_index(self) -> Path | None:
        """The index of the view that answers now."""
        return None if self._view is None else self._view.index_path


class Next(Thread):
    """Prepares one view: its index, in a process of its own; then what pages will ask of it."""

    def __init__(self, store: Store, snapshot: Path) -> None:
        super().__init__(name="next view", daemon=True)
        self.store, self.snapshot = store, snapshot
        self.step, self.problem = "starting", ""
        self.error: str | None = None
        self.process: subprocess.Popen[str] | None = None
        self.is_shown = Event()
        self.started_at, self._ended_at = time.monotonic(), 0.0
        self.start()

    @property
    def is_to_be_tried_again(self) -> bool:
        """Whether it has ended, unless building failed a moment ago."""
        if self.is_alive():
            return False
        return not self.problem or time.monotonic() > self._ended_at + SECONDS_UNTIL_TRIED_AGAIN

    def stop(self) -> None:
        """End the process that builds, if there is one."""
        if self.process is not None:
            self.process.terminate()

    def run(self) -> None:
        try:
            self._prepare()
        except HomeError as error:
            self.error = str(error)
        finally:
            self._ended_at = time.monotonic()
            self.is_shown.set()

    def _prepare(self) -> None:
        index = self.store.index_path()
        if not index.exists():
            self._build(index)
        if not self.store.is_closed and index.exists() and self.store.home.published.resolve() == self.snapshot:
            try:
                self._show(index)
            except Exception as error:
                if not tells_of_damage(error):
                    raise
                self.store.replace_damaged()

    def _show(self, index: Path) -> None:
        store = self.store
        snapshot = open_shared(self.snapshot)
        states = TableStates(Warehouse(snapshot.cursor()))
        view = View(self.snapshot, index, snapshot, open_shared(index), store.kept, states)
        if store.shown_index in (None, index):
            store.show(view)
            self.is_shown.set()
        try:
            for _ in store.prepare(view):
                if store.is_closed:
                    return
        except Exception as error:
            # Anyone who asks for that page gets the error; the others need not wait for it.
            if tells_of_damage(error):
                what = str(error).partition("\n")[0]
                log.warning("A page could not be computed: %s or %s is damaged (%s)", self.snapshot, index, what)
            else:
                log.exception("What pages will ask of %s could not be computed beforehand", self.snapshot)
        if store.shown_index != index:
            store.show(view)

    def _build(self, index: Path) -> None:
        index.parent.mkdir(parents=True, exist_ok=True, mode=self.store.home.folder_mode)
        arguments = [str(self.snapshot), str(index), self.store.home.settings.warehouse_memory]
        process = self.process = subprocess.Popen(
            [sys.executable, "-m", "sentiment.warehouse.search_index", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            self.step = line.strip()
        _, text = process.communicate()
        if process.returncode and self.snapshot.exists() and not self.store.is_closed:
            reason = text.strip().splitlines()[-1] if text.strip() else f"it ended with {process.returncode}"
            self.problem = (
                f"The search index of the pages cannot be built: {reason}. Free some space in {index.parent} if the "
                "disk is full; it is tried again in a minute."
            )
            log.warning("%s", self.problem)
