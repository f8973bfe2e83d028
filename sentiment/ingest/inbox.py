"""The drop folder: which of its files are to be read now.

A file is known by path, size and time of its last change, so looking costs no reading; whether its content is new is for
`ingest` to say. One that is being written, or was refused as it is, is left alone; one that ends in the middle is waited
for as long as something writes to it, and is then refused, so that somebody is told of a transfer that broke off.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from sentiment.errors import InputError
from sentiment.settings import SETTLE_SECONDS, UNFINISHED_SUFFIXES, Home
from sentiment.warehouse.connection import writer

SECONDS_OF_PATIENCE = 3600.0


def find_inbox_files(home: Home) -> list[Path]:
    """Files of the inbox that changed since they were last read and have not been touched for a few seconds."""
    folder = (home.settings.inbox or home.inbox).expanduser().absolute()
    if not folder.is_dir():
        raise InputError(f"The inbox {folder} is not a folder. Create it, or set SENTIMENT_INBOX.")
    newest = time.time() - SETTLE_SECONDS
    found = []
    with writer(home) as warehouse:
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path.suffix in UNFINISHED_SUFFIXES or not path.is_file():
                continue
            status = path.stat()
            if status.st_size == 0 or status.st_mtime > newest:
                continue
            seen = warehouse.value(
                "steps/ingest/select_file_seen",
                path=str(path),
                count_disk_bytes=status.st_size,
                modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
            )
            if not seen:
                found.append(path)
    return found


def is_abandoned(path: Path) -> bool:
    """Whether nothing has written to a file for so long that an incomplete one is no longer on its way."""
    return time.time() - path.stat().st_mtime > SECONDS_OF_PATIENCE


def refuse_file(home: Home, path: Path, reason: str) -> None:
    """Remember that a file of the inbox is none of tweets, so that it is said once and not at every look."""
    status = path.stat()
    with writer(home) as warehouse:
        warehouse.run(
            "steps/ingest/insert_refused_file",
            path=str(path),
            count_disk_bytes=status.st_size,
            modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
            reason=reason,
        )
