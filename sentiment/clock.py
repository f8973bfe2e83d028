"""What time it is for a run: now, or a past moment at which it is played.

Everything that is written with a time takes it from here, in SQL as `$now`, so that a year can be played in an hour and
its tables read as if it had passed. A played clock starts at the moment given and runs on, so that what happens later
also carries a later time. Only what others see of files on disk, such as whether one is still being written, goes by the
machine's own clock.
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
    """Within this context the time starts at `as_of`; without one, nothing changes.

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
