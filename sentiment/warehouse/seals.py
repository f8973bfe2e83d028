"""Notices damage to a file that keeps no checksums and that others may change: MLflow's SQLite database, a saved source.

A seal is a digest, kept next to the file with the file's size and time of change. Who writes to a file changes its time; a
flipped bit or a zeroed page does not. So a file of the same size and time with other bytes is damaged, and one of another time
is not judged until it is sealed again. A damaged seal counts as none. Sealing and verifying hash the file once: 1 ms for 2 MB.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from pathlib import Path

from sentiment.errors import HomeError
from sentiment.model.atomic import atomic_write

SEAL_SUFFIX = ".seal"
_CLOCK_SECONDS = 0.05
"""File systems read a clock that ticks so seldom: two changes within a tick have the same time."""


def seal(path: Path) -> None:
    """Keep the digest of a file as it is now; nothing happens if it has not changed since it was last sealed.

    A file that is missing, or that somebody is writing to, is not sealed; nor is one in a folder that cannot be written.
    """
    with suppress(OSError):
        before = _state(path)
        if _read(path)[:1] == (before,):
            return
        # On a file system that counts whole seconds, a later change could not be told by its time.
        if before.endswith("000000000"):
            return
        time.sleep(max(0.0, min(_CLOCK_SECONDS, _CLOCK_SECONDS + path.stat().st_mtime - time.time())))
        digest = digest_of_file(path)
        if _state(path) == before:
            with atomic_write(_seal_of(path)) as draft:
                draft.write_text(f"{before}\n{digest}\n{_check(before, digest)}\n")


def refuse_damage(path: Path, remedy: str) -> None:
    """Fail if a file has other bytes than when it was sealed, and the same size and time of change.

    Args:
        remedy: a sentence with the command that helps.

    Raises:
        HomeError: the file is damaged.
    """
    try:
        state = _state(path)
        sealed = _read(path)
        is_damaged = sealed[:1] == (state,) and digest_of_file(path) != sealed[1] and _state(path) == state
    except OSError:
        return
    if is_damaged:
        raise HomeError(
            f"{path} is damaged: its bytes are not those that were written, though nobody has changed it since. {remedy}"
        )


def _seal_of(path: Path) -> Path:
    return path.with_name(f".{path.name}{SEAL_SUFFIX}")


def _state(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _read(path: Path) -> tuple[str, ...]:
    """State and digest of the file when it was sealed; empty if it was not, or if the seal is damaged."""
    try:
        state, digest, check = _seal_of(path).read_text().splitlines()
    except (OSError, ValueError):
        return ()
    return (state, digest) if check == _check(state, digest) else ()


def _check(state: str, digest: str) -> str:
    return hashlib.sha256(f"{state}\n{digest}".encode()).hexdigest()[:16]


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
