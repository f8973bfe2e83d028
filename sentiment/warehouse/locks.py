"""Locks of the home: one process at a time does a thing, and a run that waits can say what it waits for.

A process that takes a lock signs in `<name>.holder`. The kernel keeps the lock itself; a missing signature, or one of a
process that has ended, counts for nothing. Signing costs 0.1 ms.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from filelock import FileLock, Timeout

from sentiment.errors import BusyError, HomeError
from sentiment.settings import Home

SOMEBODY = "another run"
_work: ContextVar[str | None] = ContextVar("work", default=None)


@contextmanager
def working_as(what: str) -> Iterator[None]:
    """Within this context locks are signed with these words, such as the name of a flow's run."""
    token = _work.set(what)
    try:
        yield
    finally:
        _work.reset(token)


def sign(lock: Path) -> None:
    """Say that this process holds a lock."""
    what = _work.get() or " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
    with suppress(OSError):
        lock.with_suffix(".holder").write_text(f"{os.getpid()}\n{what}")


def holder_of(lock: Path) -> str:
    """Who holds it, e.g. `retrain next subset (process 4711)`."""
    process, what = _signature(lock)
    return f"{what} (process {process})" if process is not None and what else SOMEBODY


def holding_process(lock: Path) -> int | None:
    """The process that holds it; None if no running process has signed."""
    return _signature(lock)[0]


def _signature(lock: Path) -> tuple[int | None, str]:
    try:
        number, _, what = lock.with_suffix(".holder").read_text().partition("\n")
        with suppress(PermissionError):  # It runs, as somebody else.
            os.kill(int(number), 0)
    except (OSError, ValueError):
        return None, ""
    return int(number), what


@contextmanager
def operation_lock(home: Home, name: str) -> Iterator[None]:
    """Hold `<home>/locks/<name>.lock`: one process at a time, freed by the kernel when it dies.

    Raises:
        BusyError: another process held it for longer than `settings.writer_wait_seconds`.
    """
    wait_seconds = home.settings.writer_wait_seconds
    path = home.locks / f"{name}.lock"
    lock = FileLock(path)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if home.on_wait is not None:
                home.on_wait(f"waiting for {holder_of(path)}, which holds {name}")
            lock.acquire(timeout=wait_seconds, poll_interval=0.05)
    except Timeout as error:
        raise BusyError(
            f"{name} of {home.root} has been held by {holder_of(path)} for more than {wait_seconds:.0f} s. "
            "Wait for it to end (`sentiment status` names the last runs) or raise SENTIMENT_WRITER_WAIT_SECONDS."
        ) from error
    except OSError as error:
        raise HomeError(f"The home {home.root} cannot be written: {error.strerror} ({error.filename}).") from error
    sign(path)
    try:
        yield
    finally:
        lock.release()
