"""Who holds a lock of the home, in words, so that a run that waits can say what it waits for.

Whoever takes a lock signs beside it, in `<name>.holder`. The lock itself is the kernel's: a signature that is missing, or of
a process that has ended, is taken for none. Signing costs 0.1 ms.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

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
    try:
        number, _, what = lock.with_suffix(".holder").read_text().partition("\n")
        with suppress(PermissionError):  # It runs, as somebody else.
            os.kill(int(number), 0)
    except (OSError, ValueError):
        return SOMEBODY
    return f"{what} (process {number})" if what else SOMEBODY
