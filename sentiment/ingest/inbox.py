"""The drop folder: which of its files are to be read now.

A file is known by path, size and time of its last change, so looking costs no reading; whether its content is new is for
`ingest` to say. One that is being written, or was refused as it is, is left alone; one that ends in the middle is waited
for as long as something writes to it, and is then refused, so that a broken transfer raises an alert.
"""

from __future__ import annotations

import functools
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from sentiment.errors import InputError
from sentiment.ingest.file_names import in_utf8
from sentiment.ingest.load import StoredObject
from sentiment.ingest.sources import NAME, source_changed_at
from sentiment.settings import SETTLE_SECONDS, UNFINISHED_SUFFIXES, Home
from sentiment.warehouse.connection import writer

SECONDS_OF_PATIENCE = 3600.0
_FILES_SCHEMA = pl.Schema(
    {
        "path": pl.String(),
        "count_disk_bytes": pl.Int64(),
        "modified_at": pl.Datetime("us", "UTC"),
        "source_changed_at": pl.Datetime("us", "UTC"),
    }
)


def find_inbox_files(home: Home) -> list[Path]:
    """Files of the inbox, and of its folders one deep, that changed since they were last read and have been still for seconds.

    Links, pipes and devices are not followed.
    """
    folder = inbox_folder(home)
    if not folder.is_dir():
        raise InputError(f"The inbox {folder} is not a folder. Create it, or set SENTIMENT_INBOX.")
    newest = time.time() - SETTLE_SECONDS
    found: dict[str, Path] = {}
    rows = []
    changed_at = functools.cache(lambda source: source_changed_at(home, source))
    for path in _files_of(folder):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size > 0 and status.st_mtime <= newest:
            found[name := in_utf8(path)] = path
            written_at = datetime.fromtimestamp(status.st_mtime, UTC)
            rows.append((name, status.st_size, written_at, changed_at(source_of(home, path))))
    with writer(home) as warehouse:
        unseen = warehouse.load("steps/ingest/select_unseen_files", pl.DataFrame(rows, _FILES_SCHEMA, orient="row"))
    names = set(unseen["path"])
    return [path for name, path in found.items() if name in names]


def inbox_folder(home: Home) -> Path:
    """The drop folder of a home."""
    return (home.settings.inbox or home.inbox).expanduser().absolute()


def source_of(home: Home, path: Path) -> str | None:
    """The source by which a file of the inbox is read: the name of its folder in the inbox."""
    folder = path.expanduser().absolute().parent
    is_source = folder.parent == inbox_folder(home) and NAME.fullmatch(folder.name)
    return folder.name if is_source else None


def _files_of(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and NAME.fullmatch(path.name):
            yield from (inner for inner in sorted(path.iterdir()) if _is_wanted(inner))
        elif _is_wanted(path):
            yield path


def _is_wanted(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix not in UNFINISHED_SUFFIXES


def is_abandoned(path: Path) -> bool:
    """Whether nothing has written to a file for so long that an incomplete one is no longer on its way."""
    return time.time() - path.stat().st_mtime > SECONDS_OF_PATIENCE


def refuse_file(home: Home, file: Path | StoredObject, reason: str) -> None:
    """Remember that a file cannot be loaded as it is: one of the inbox gives the reason once, and not at every look."""
    if isinstance(file, Path):
        status = file.stat()
        size, modified_at = status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)
    else:
        size, modified_at = file.count_bytes, file.modified_at
    with writer(home) as warehouse:
        warehouse.run(
            "steps/ingest/insert_refused_file",
            path=in_utf8(file) if isinstance(file, Path) else str(file),
            count_disk_bytes=size,
            modified_at=modified_at,
            reason=reason,
        )
