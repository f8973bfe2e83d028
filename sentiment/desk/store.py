"""The snapshot that pages show, and the search index made of it: one pair at a time, replaced when another is published.

A request that comes while the next index is built is answered from the pair before, so nobody waits but on the very first
start; for a small home even that takes less than a second. Connections are shared and each request takes a cursor.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import Any, TypeVar

import polars as pl

from sentiment.errors import HomeError
from sentiment.settings import Home
from sentiment.warehouse.connection import reader, tells_of_damage
from sentiment.warehouse.search_index import index_path, open_shared
from sentiment.warehouse.session import Warehouse

SECONDS_TO_WAIT_FOR_FIRST = 2.0
SECONDS_UNTIL_TRIED_AGAIN = 60.0
MOST_KEPT = 1_000
Found = TypeVar("Found")

log = logging.getLogger(__name__)


class PreparingError(Exception):
    """The first index is being built; the message says what is done at the moment."""


@dataclass
class Kept:
    """Answers that are the same for everyone; the oldest goes first when there are too many."""

    answers: dict[Any, Any] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def once(self, key: Any, find: Callable[[], Found]) -> Found:
        """What `find` returned for this key."""
        with self.lock:
            if key in self.answers:
                kept: Found = self.answers[key]
                return kept
        found = find()
        with self.lock:
            while len(self.answers) >= MOST_KEPT:
                del self.answers[next(iter(self.answers))]
            self.answers[key] = found
        return found


@dataclass
class View:
    """One snapshot with its index; used from any thread.

    `kept` holds what pages compute once for each snapshot, `kept_of_index` what depends on the index alone: a label that
    somebody gives makes another snapshot and leaves the index as it is.
    """

    snapshot_path: Path
    index_path: Path
    snapshot_connection: Any
    index_connection: Any
    kept: Kept = field(default_factory=Kept)
    kept_of_index: Kept = field(default_factory=Kept)

    @property
    def snapshot(self) -> Warehouse:
        """The published tables."""
        return Warehouse(self.snapshot_connection.cursor())

    @property
    def index(self) -> Warehouse:
        """The tables of `sql/desk/index/`."""
        return Warehouse(self.index_connection.cursor())

    def once(self, key: Any, find: Callable[[], Found]) -> Found:
        """What `find` returns, kept as long as this snapshot is shown."""
        return self.kept.once(key, find)

    def rows(self, script: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of `sql/desk/<script>.sql` on the published tables."""
        return list(self.snapshot.frame(f"desk/{script}", **parameters).iter_rows(named=True))

    def indexed(self, script: str, /, **parameters: Any) -> pl.DataFrame:
        """Rows of `sql/desk/<script>.sql` on the index."""
        return self.index.frame(f"desk/{script}", **parameters)

    def indexed_once(self, script: str, /, **parameters: Any) -> pl.DataFrame:
        """The same, kept as long as the index is used."""
        return self.kept_of_index.once((script, repr(parameters)), lambda: self.indexed(script, **parameters))


class Store:
    """Gives the newest view of a home."""

    def __init__(self, home: Home, prepare: Callable[[View], object] | None = None) -> None:
        """Follow a home.

        Args:
            prepare: computes what pages will ask of a new index, in a thread of its own, so that nobody waits for it.
        """
        self.home, self._prepare = home, prepare
        self._lock = Lock()
        self._view: View | None = None
        self._building: Build | None = None
        self._count_damaged = 0

    def view(self) -> View:
        """The newest snapshot whose index is ready.

        Raises:
            HomeError: nothing has been published yet, the snapshot is damaged, or the index cannot be built.
            PreparingError: the first index is being built.
        """
        give_up_at = time.monotonic() + SECONDS_TO_WAIT_FOR_FIRST
        while (view := self._look()) is None:
            if time.monotonic() > give_up_at:
                building = self._building
                raise PreparingError(building.step if building else "starting")
            time.sleep(0.05)
        return view

    def replace_damaged(self) -> None:
        """After an error that tells of damage: remove an index that cannot be read, so that another one is built.

        Raises:
            HomeError: the published snapshot is damaged.
        """
        with reader(self.home) as snapshot:
            snapshot.read_all()
        with self._lock:
            self._view = None
            self._index_path().unlink(missing_ok=True)
            self._count_damaged += 1

    def _index_path(self) -> Path:
        """Where the index is, or will be. DuckDB knows what is open by its path, so one in the place of a damaged one has
        another."""
        path = index_path(self.home)
        return path.with_stem(f"{path.stem}-{self._count_damaged}") if self._count_damaged else path

    def _look(self) -> View | None:
        snapshot = self.home.published.resolve()
        if self._view is not None and self._view.snapshot_path == snapshot and snapshot.exists():
            return self._view
        with self._lock:
            index = self._index_path()
            if index.exists():
                self._building = None
                if self._view is None or self._view.snapshot_path != snapshot:
                    is_new = self._view is None or self._view.index_path != index
                    kept = Kept() if self._view is None or is_new else self._view.kept_of_index
                    self._view = View(snapshot, index, open_shared(snapshot), open_shared(index), kept_of_index=kept)
                    self._prune(index)
                    if is_new and self._prepare is not None:
                        Thread(target=self._prepare_view, args=[self._view], name="prepare", daemon=True).start()
                return self._view
            if self._building is None or self._building.is_to_be_tried_again:
                self._building = Build(self.home, snapshot, index)
            if self._building.problem and self._view is None:
                raise HomeError(self._building.problem)
            return self._view

    def _prepare_view(self, view: View) -> None:
        assert self._prepare is not None
        try:
            self._prepare(view)
        except Exception as error:
            if not tells_of_damage(error):
                raise
            # The first request that meets the damage deals with it.
            log.warning("the pages cannot be prepared: %s", error)

    def _prune(self, current: Path) -> None:
        for other in current.parent.glob("*.duckdb"):
            if other != current:
                other.unlink(missing_ok=True)


class Build(Thread):
    """Builds one index in a process of its own."""

    def __init__(self, home: Home, snapshot: Path, index: Path) -> None:
        super().__init__(name="search index", daemon=True)
        self.home, self.snapshot, self.index = home, snapshot, index
        self.step, self.problem, self._ended_at = "starting", "", 0.0
        self.start()

    @property
    def is_to_be_tried_again(self) -> bool:
        """Whether it ended without an index: its snapshot was replaced meanwhile, or it failed a while ago."""
        if self.is_alive():
            return False
        return not self.problem or time.monotonic() > self._ended_at + SECONDS_UNTIL_TRIED_AGAIN

    def run(self) -> None:
        self.index.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        arguments = [str(self.snapshot), str(self.index), self.home.settings.warehouse_memory]
        process = subprocess.Popen(
            [sys.executable, "-m", "sentiment.warehouse.search_index", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            self.step = line.strip()
        _, said = process.communicate()
        if process.returncode and self.snapshot.exists():
            reason = said.strip().splitlines()[-1] if said.strip() else f"it ended with {process.returncode}"
            self.problem = (
                f"The search index of the pages cannot be built: {reason}. Free some space in {self.index.parent} if the "
                "disk is full; it is tried again in a minute."
            )
            log.warning("%s", self.problem)
        self._ended_at = time.monotonic()
