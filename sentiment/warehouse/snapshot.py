"""Publishes the snapshot that people read: the state of the warehouse under a new name, behind a link that moves atomically.

Readers keep an older snapshot that they have open; the link opens the newest. Each is one ordinary DuckDB file. Where the file
system can share blocks, it is a clone of the checkpointed warehouse and costs nothing. Elsewhere a small warehouse is copied,
0.1 s for 1.6 million tweets; for a large one, the oldest snapshot is brought up to date (`catch_up`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from sentiment.errors import HomeError
from sentiment.model.atomic import atomic_write, put_in_place
from sentiment.settings import Home
from sentiment.warehouse import catch_up
from sentiment.warehouse.connection import checkpointed, reader, translated_errors
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.seals import seal

_FICLONE = 0x40049409
"""Linux only; elsewhere the call fails and the file is copied."""


def publish(home: Home, *, afresh: bool = False) -> bool:
    """Publish the warehouse, unless the newest snapshot is up to date.

    Args:
        afresh: always copy, so that nothing of an older snapshot is in it.

    Returns:
        whether there is a new snapshot.

    Raises:
        BusyError, HomeError: as `warehouse.writer`.
    """
    # What changes the registry ends with a new snapshot; so it is sealed here.
    seal(home.mlflow / "mlflow.db")
    with checkpointed(home) as warehouse, translated_errors(home):
        source = warehouse.stat()
        if not afresh and is_published(home):
            return False
        snapshot = home.published.with_name(f"sentiment-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.duckdb")
        with atomic_write(snapshot) as draft:
            if afresh or not (_clone(warehouse, draft) or _recycle(home, draft)):
                # Never into a snapshot that somebody still has open.
                for leftover in (draft, draft.with_name(f"{draft.name}.wal")):
                    leftover.unlink(missing_ok=True)
                shutil.copyfile(warehouse, draft)
            # It gets the source's modification time, which marks an up-to-date snapshot, also after a kill.
            os.utime(draft, ns=(source.st_atime_ns, source.st_mtime_ns))
        _point_to(home.published, snapshot)
        _prune(home.published, home.settings.keep_snapshots)
    return True


def is_published(home: Home) -> bool:
    """Whether the newest snapshot is up to date, as far as a look at the files tells."""
    try:
        is_newest = home.published.stat().st_mtime_ns == home.warehouse.stat().st_mtime_ns
    except FileNotFoundError:
        return False
    # With a write-ahead log, the warehouse is at work or was killed.
    return is_newest and not home.warehouse.with_name(f"{home.warehouse.name}.wal").exists()


def publish_alone(home: Home) -> None:
    """Publish a copy, and remove every older snapshot; readers keep one that they have open.

    Raises:
        BusyError, HomeError: as `warehouse.writer`.
    """
    publish(home, afresh=True)
    with operation_lock(home, "warehouse"):
        _prune(home.published, 1)


def _clone(source: Path, target: Path) -> bool:
    """Copy a file without copying its blocks, where the file system can share them (XFS, Btrfs, bcachefs, ZFS)."""
    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:
            return False
    return True


def _recycle(home: Home, draft: Path) -> bool:
    """Bring the oldest snapshot, which is due for removal, to the state of the warehouse; False if that is impossible."""
    snapshots = sorted(home.published.parent.glob("sentiment-*.duckdb"))
    if len(snapshots) < max(2, home.settings.keep_snapshots) or snapshots[0] == home.published.resolve():
        return False
    oldest = snapshots[0]
    if oldest.stat().st_size < catch_up.LEAST_BYTES:
        return False
    # No reader can open it from here on; one that has it open keeps the file.
    put_in_place(oldest, draft)
    return catch_up.catch_up(home, draft)


def remove_damaged(home: Home) -> bool:
    """Remove a published snapshot that cannot be read, so that the next `publish` puts another in its place.

    Returns:
        whether there was one.
    """
    try:
        with reader(home) as snapshot:
            snapshot.read_all()
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
    for leftover in (*link.parent.glob("*.part"), *link.parent.glob("*.part.wal"), *link.parent.glob(".*.link")):
        leftover.unlink(missing_ok=True)
