"""Files in object storage: `sentiment ingest 's3://bucket/prefix/day=*/*.parquet'`.

One listing, a request for each thousand keys, says what is there. Objects that were read before, by key, size and time of the
last change, are not fetched again. Each new one is fetched into a folder of the home, read by the same rules as any file, and
removed: so the disk needs room for the largest object, and memory does not grow. Folders such as `day=2026-11-01` stay around
it, so they are columns.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
from pyarrow import fs

from sentiment.errors import InputError, NotReadyError, UnsureError
from sentiment.ingest.load import IngestReport, Instructions, StoredObject, ingest_file
from sentiment.ingest.readers.partitions import partitions_of
from sentiment.ingest.sources import source_changed_at
from sentiment.object_store import StoreError, first_line, open_address, patiently
from sentiment.settings import LEAST_FREE_BYTES, Home
from sentiment.warehouse.connection import writer

SECONDS_OF_PATIENCE = 60.0
_WILD = re.compile(r"[*\[]")
_PIECE_BYTES = 8 << 20
_DELTA_LOG = "_delta_log"


@dataclass(frozen=True)
class NewObjects:
    """What an address names: objects that are to be read, and how many were read before and have not changed."""

    objects: list[StoredObject]
    count_unchanged: int


class Bucket:
    """A bucket, and a pattern of the keys in it."""

    def __init__(self, address: str, patience: float = SECONDS_OF_PATIENCE) -> None:
        """Open a bucket; nothing is read yet.

        Args:
            address: such as `s3://bucket/prefix/day=*/*.parquet?region=eu-central-1`; `*` is any part of one name, `**` any
                number of folders.
            patience: seconds to wait for a store that cannot be reached.

        Raises:
            InputError: the address cannot be understood.
        """
        self.address = address
        self.patience = patience
        self.place, mark, options = address.partition("?")
        scheme, _, self.pattern = self.place.partition("://")
        self.prefix = f"{scheme}://"
        bucket = self.pattern.partition("/")[0]
        self.pattern = self.pattern.rstrip("/")
        try:
            self.filesystem, _ = open_address(f"{self.prefix}{bucket}{mark}{options}")
        except ValueError as error:
            shown = re.sub(r"://[^/?]*@", "://…@", address)
            raise InputError(
                f"{shown} cannot be used: {error}. Expected an address such as s3://bucket/prefix/day=*/*.parquet"
            ) from error

    def find(self, *, may_be_empty: bool = False) -> list[StoredObject]:
        """The objects that the address names, by name; empty ones, and names that begin with `_` or `.`, are left out.

        Raises:
            InputError: there are none, or they are the files of a Delta table.
            StoreError: the store cannot be reached or refuses.
        """
        listed_at = datetime.now(UTC)
        is_wild = _WILD.search(self.pattern) is not None
        found = self._look(is_wild)
        named = [info for info in found if not is_wild or _matches(self.pattern, info.path)]
        if not named and not may_be_empty:
            raise InputError(self._nothing(len(found)))
        # Of a bucket that is listed anyway; rows that were deleted are still in such files.
        logs = {info.path.partition(f"/{_DELTA_LOG}/")[0] for info in found if f"/{_DELTA_LOG}/" in info.path}
        if table := next((log for log in sorted(logs) if any(i.path.startswith(f"{log}/") for i in named)), None):
            raise InputError(
                f"{self.prefix}{table} is a Delta table: its files also hold rows that were deleted. Write what it shows to "
                "a Parquet file, for example with polars.read_delta(…).write_parquet(…), and ingest that."
            )
        return [
            StoredObject(
                f"{self.prefix}{info.path}",
                info.path,
                self.address,
                info.size,
                info.mtime.astimezone(UTC),
                listed_at,
            )
            for info in sorted(named, key=lambda info: info.path)
        ]

    def _look(self, is_wild: bool) -> list[fs.FileInfo]:
        if not is_wild:
            info = self._patiently(lambda: self.filesystem.get_file_info(self.pattern))
            if info.type == fs.FileType.File:
                return [info]
        parts = self.pattern.split("/")
        count_fixed = next((number for number, part in enumerate(parts) if _WILD.search(part)), len(parts))
        selector = fs.FileSelector("/".join(parts[:count_fixed]), recursive=True)
        try:
            infos = self._patiently(lambda: self.filesystem.get_file_info(selector))
        except FileNotFoundError:
            infos = []
        files = [info for info in infos if info.type == fs.FileType.File and info.size]
        if files and not is_wild:
            raise InputError(
                f"{self.place} is a folder of {len(files):,} objects, expected objects. Name them with a pattern, such as "
                f"{self.place}/**/*.parquet"
            )
        return files

    def fetch(self, stored: StoredObject, folder: Path) -> Path:
        """Copy an object into a folder; the path of the copy, below folders such as `day=2026-11-01` as in the bucket.

        Raises:
            InputError: it is gone, or the disk has no room for it.
            NotReadyError: it was written again meanwhile.
            StoreError: the store cannot be reached or refuses.
        """
        free = shutil.disk_usage(folder).free - LEAST_FREE_BYTES
        if stored.count_bytes > free:
            raise InputError(
                f"{stored.name} has {stored.count_bytes >> 20:,} MiB and does not fit on the disk of the home, which has room "
                f"for {max(free, 0) >> 20:,} MiB. Free some space there."
            )
        folders = [part for part in PurePosixPath(stored.key).parent.parts if partitions_of(Path("/", part, "x"))]
        path = folder.joinpath(*folders, PurePosixPath(stored.key).name)
        path.parent.mkdir(parents=True, exist_ok=True)

        def copy() -> fs.FileInfo:
            with self.filesystem.open_input_stream(stored.key) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, _PIECE_BYTES)
            return self.filesystem.get_file_info(stored.key)

        try:
            now = self._patiently(copy)
        except FileNotFoundError:
            raise InputError(f"{stored.name} is gone: it was there when the bucket was listed. Run it again.") from None
        if (now.size, now.mtime) != (stored.count_bytes, stored.modified_at) or path.stat().st_size != now.size:
            raise NotReadyError(f"{stored.name} was written again while it was read. It is read with the next run.")
        return path

    def _patiently(self, operation: Callable[[], Any]) -> Any:
        return patiently(operation, self.patience, self._refused)

    def _refused(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self.place} cannot be read: {first_line(error)}. Check the address, the keys and their rights (to list the "
            "bucket and to get objects); what was loaded is kept, so run it again."
        )

    def _nothing(self, count: int) -> str:
        others = f"{count:,} objects there have other names" if count else "there is nothing at all"
        return f"No object matches {self.place}: {others}. Check the pattern; * does not go across /, ** does."


@functools.lru_cache(maxsize=8)
def open_bucket(address: str) -> Bucket:
    """The bucket of an address; opening one may ask the store for its region."""
    return Bucket(address)


def find_new_objects(
    home: Home,
    address: str,
    *,
    gold_set: str | None = None,
    label_by_emoticon: bool = False,
    source: str | None = None,
) -> NewObjects:
    """List what an address names, without what was read before in the same way and has not changed.

    Args:
        source: the source that watches this address: then there may be nothing yet, and what was refused is left out until it
            or the source's file changes.

    Raises:
        InputError, StoreError: as `Bucket` and `Bucket.find`.
    """
    listed = open_bucket(address).find(may_be_empty=source is not None)
    refused_since = None if source is None else source_changed_at(home, source)
    frame = pl.DataFrame(
        {
            "name": [stored.name for stored in listed],
            "count_bytes": [stored.count_bytes for stored in listed],
            "modified_at": [stored.modified_at for stored in listed],
        },
        schema={"name": pl.String, "count_bytes": pl.Int64, "modified_at": pl.Datetime("us", "UTC")},
    )
    with writer(home) as warehouse:
        way = {"gold_set": gold_set, "is_labelled_by_emoticon": label_by_emoticon}
        found = warehouse.load("steps/ingest/select_unread_objects", frame, refused_since=refused_since, **way)
    unread = set(found["name"])
    objects = [stored for stored in listed if stored.name in unread]
    return NewObjects(objects, len(listed) - len(objects))


def ingest_object(
    home: Home,
    stored: StoredObject,
    *,
    gold_set: str | None = None,
    label_by_emoticon: bool = False,
    instructions: Instructions = Instructions(),
    on_progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """Fetch an object and load it as `ingest_file` does; its name takes the path's place in the account and in messages.

    Raises:
        InputError, StoreError, HomeError: as `ingest_file` and `Bucket.fetch`.
    """
    with fetched(home, stored) as path, named_in_errors(path, stored.name):
        report = ingest_file(
            home,
            path,
            gold_set=gold_set,
            label_by_emoticon=label_by_emoticon,
            instructions=replace(instructions, recorded_as=stored.name, stored=stored),
            on_progress=on_progress,
        )
    return replace(report, path=stored.name)


@contextmanager
def fetched(home: Home, stored: StoredObject) -> Iterator[Path]:
    """A copy of an object, removed when the context ends; housekeeping removes what killed runs left.

    Raises:
        InputError, StoreError: as `Bucket.fetch`.
    """
    with tempfile.TemporaryDirectory(prefix=f"object-{os.getpid()}-", dir=home.work) as folder:
        yield open_bucket(stored.pattern).fetch(stored, Path(folder))


@contextmanager
def named_in_errors(path: Path, name: str) -> Iterator[None]:
    """Sentences about the copy of an object name the object."""
    try:
        yield
    except UnsureError as error:
        raise UnsureError(str(error).replace(str(path), name), error.questions) from error
    except InputError as error:
        raise type(error)(str(error).replace(str(path), name)) from error


def _matches(pattern: str, key: str) -> bool:
    name = key.rpartition("/")[2]
    return (
        not name.startswith(("_", "."))
        and f"/{_DELTA_LOG}/" not in key
        and _compiled(pattern).fullmatch(key) is not None
    )


@functools.lru_cache(maxsize=8)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Folder by folder as a shell does: `*`, `[…]`, and `**` for any number of folders."""
    parts = []
    for part in pattern.split("/"):
        if part == "**":
            parts.append("(?:[^/]+/)*")
            continue
        found = "".join(
            piece if piece.startswith("[") else "[^/]*" if piece == "*" else re.escape(piece)
            for piece in re.split(r"(\*|\[[^\]/]+\])", part)
        )
        parts.append(f"{found}/")
    joined = "".join(parts)
    return re.compile(joined.removesuffix("/") if not pattern.endswith("**") else f"{joined}[^/]+")
