"""One thread that reads and writes the tables while shards are predicted, so that neither waits for the other."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class TablesThread:
    """Runs functions one after the other. At its end those that were submitted are waited for."""

    def __init__(self, total: int, on_progress: Callable[[int, int], None] | None) -> None:
        """Start without work.

        Args:
            total: rows that there are to commit.
            on_progress: called by `commit` and `finish` with the number of rows committed so far, and the total.
        """
        self._thread = ThreadPoolExecutor(1, "tables")
        self._total, self._on_progress = total, on_progress
        self._done = self._count_written = 0
        self._last: tuple[int, Future[int]] | None = None

    def __enter__(self) -> TablesThread:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def submit(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function in the thread, with the caller's clock and log."""
        return self._thread.submit(contextvars.copy_context().run, partial(fn, *args, **kwargs))

    def commit(self, count_rows: int, fn: Callable[P, int], *args: P.args, **kwargs: P.kwargs) -> None:
        """Commit rows in the thread once the commit before has ended, so that at most one is under way; its error is raised.

        Args:
            fn: returns how many predictions it wrote.
        """
        self.finish()
        self._last = count_rows, self.submit(fn, *args, **kwargs)

    def finish(self) -> int:
        """Wait for the commit under way; how many predictions all have written."""
        if self._last is not None:
            count_rows, written = self._last
            self._last = None
            self._count_written += written.result()
            self._done += count_rows
            if self._on_progress is not None:
                self._on_progress(self._done, self._total)
        return self._count_written
