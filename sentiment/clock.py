"""The time of a run: now, or a past moment that is simulated.

Every time that is written comes from here, in SQL as `$now`, so that a year can be simulated in an hour and its tables look as
if it had passed. A simulated clock starts at the given moment and runs on, so later events have later times. Only the times of
files on disk, such as whether one is still being written, follow the machine's own clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

_played: ContextVar[tuple[datetime, float] | None] = ContextVar("played", default=None)


def now() -> datetime:
    """The time of this run, in UTC."""
    played = _played.get()
    if played is None:
        return datetime.now(UTC)
    start, began = played
    return start + timedelta(seconds=time.monotonic() - began)


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC; one without a zone is taken for UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@contextmanager
def play(as_of: datetime | None) -> Iterator[None]:
    """Start the time at `as_of` within this context; None changes nothing.

    Args:
        as_of: without a zone it is taken for UTC.
    """
    if as_of is None:
        yield
        return
    token = _played.set((in_utc(as_of), time.monotonic()))
    try:
        yield
    finally:
        _played.reset(token)
