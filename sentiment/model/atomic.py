"""Write a file whole or not at all, even across a power cut.

A draft next to the file is written, flushed to the disk, and renamed over the file; then the folder is flushed, which makes
the rename last. A reader sees the old content or the new one. The draft of a killed process is replaced by
the next write.

It is in this package because a saved model needs it, and what travels with a model imports nothing else of the project.
A write costs two flushes: 1 to 10 ms on most disks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def draft_of(path: Path) -> Path:
    """Where a file or folder is written before it gets its name."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def atomic_write(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Replace a file when the block ends; leave it as it was when the block fails.

    Args:
        path: the file to replace or create, in a folder that exists.
        mode: permissions of the new file, in force before its first byte; by default the process's umask decides.

    Yields:
        the path to write to. Nothing is there, unless `mode` is given: then an empty file is.
    """
    draft = draft_of(path)
    draft.unlink(missing_ok=True)
    try:
        if mode is not None:
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        yield draft
        put_in_place(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Replace a folder of files when the block ends; leave it as it was when the block fails.

    A folder cannot be renamed over another one, so a process killed at the very end leaves none instead of the old one.

    Args:
        path: the folder to replace or create; its parents are made.

    Yields:
        an empty folder to write files into.
    """
    draft = draft_of(path)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        shutil.rmtree(path, ignore_errors=True)
        put_in_place(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def put_in_place(draft: Path, path: Path) -> None:
    """Rename what was written elsewhere in the same file system, so that content and name survive a power cut.

    Args:
        draft: a file, or a folder with all that is in it.
        path: a file to replace, or a name that nothing has yet.
    """
    flush_tree(draft)
    draft.replace(path)
    flush_to_disk(path.parent)


def open_as_folder(path: Path) -> None:
    """Let the group and others read and write a file as they may its folder; safetensors makes files for their owner alone."""
    path.chmod(0o600 | path.parent.stat().st_mode & 0o066)


def flush_tree(path: Path) -> None:
    """Flush a file, or a folder with all that is in it."""
    for written in path.rglob("*") if path.is_dir() else ():
        flush_to_disk(written)
    flush_to_disk(path)


def flush_to_disk(path: Path) -> None:
    """Return once a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
