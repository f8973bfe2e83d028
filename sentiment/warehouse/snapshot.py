"""The snapshot that people read: a copy of the warehouse under a new name, behind a link that moves in one step.

Readers that have an older snapshot open keep it; whoever opens the link gets the newest. A copy of the checkpointed file
takes 0.1 s for 1.6 million tweets, against 1.4 s for a copy table by table, and keeps comments and views.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from sentiment.errors import HomeError
from sentiment.locks import operation_lock
from sentiment.model.atomic import atomic_write, put_in_place
from sentiment.settings import Home
from sentiment.warehouse.connection import checkpointed, reader, translated_errors


def publish(home: Home) -> bool:
    """Publish what the warehouse holds, unless the newest snapshot holds it already.

    Returns:
        whether there is a new snapshot.

    Raises:
        BusyError, HomeError: as `warehouse.writer`.
    """
    with checkpointed(home) as warehouse, translated_errors(home):
        source = warehouse.stat()
        if home.published.exists():
            newest = home.published.stat()
            if (newest.st_mtime_ns, newest.st_size) == (source.st_mtime_ns, source.st_size):
                return False
        snapshot = home.published.with_name(f"sentiment-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.duckdb")
        with atomic_write(snapshot) as draft:
            shutil.copyfile(warehouse, draft)
            # The copy carries the source's time: that is how an up-to-date snapshot is recognised, after a kill as well.
            os.utime(draft, ns=(source.st_atime_ns, source.st_mtime_ns))
        _point_to(home.published, snapshot)
        _prune(home.published, home.settings.keep_snapshots)
    return True


def publish_alone(home: Home) -> None:
    """Publish, and remove every older snapshot; whoever has one open keeps it until it is closed.

    Raises:
        BusyError, HomeError: as `warehouse.writer`.
    """
    publish(home)
    with operation_lock(home, "warehouse"):
        _prune(home.published, 1)


def remove_damaged(home: Home) -> bool:
    """Remove a published snapshot that cannot be opened, so that the next `publish` puts another in its place.

    Returns:
        whether there was one.
    """
    try:
        with reader(home):
            return False
    except HomeError:
        if not home.published.is_symlink() and not home.published.exists():
            return False
        home.published.resolve().unlink(missing_ok=True)
        home.published.unlink(missing_ok=True)
        return True


def _point_to(link: Path, snapshot: Path) -> None:
    draft = link.with_name(f".{snapshot.name}.link")
    draft.unlink(missing_ok=True)
    draft.symlink_to(snapshot.name)
    put_in_place(draft, link)


def _prune(link: Path, keep: int) -> None:
    current = link.resolve()
    snapshots = sorted(link.parent.glob("sentiment-*.duckdb"))
    for old in snapshots[:-keep]:
        if old != current:
            with suppress(OSError):
                old.unlink()
    for leftover in (*link.parent.glob("*.part"), *link.parent.glob(".*.link")):
        leftover.unlink(missing_ok=True)
