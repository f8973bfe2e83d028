"""Saves the whole home in one file while everything runs, and restores it into an empty folder.

The warehouse and MLflow's store must agree, so both are copied while nobody writes to the one or moves the champion in the
other. The rest cannot disagree: a version's files exist before it is registered, and are not removed during a backup. What can
be rebuilt is left out: snapshots, exports, work files, locks and logs. A backup is a tar, compressed with Zstandard, that ends
with a manifest of the SHA-256 of every file in it; it gets its name when it is complete. Runs wait while the two databases are
copied, not while the rest is packed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

import zstandard

from sentiment.errors import HomeError, InputError
from sentiment.model.atomic import atomic_write, flush_to_disk, flush_tree, put_in_place
from sentiment.registry.champion import champion_lock
from sentiment.registry.store import refuse_damaged_store, relocate
from sentiment.settings import Home
from sentiment.warehouse.connection import checkpointed, read_every_block, translated_errors
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.migrations import known_migration
from sentiment.warehouse.safeguard import forget_metadata, metadata_copy_of
from sentiment.warehouse.seals import SEAL_SUFFIX
from sentiment.warehouse.snapshot import publish

MANIFEST = "manifest.json"
FORMAT = 1
# Snapshots, exports, work files and caches can be rebuilt; locks and logs belong to running processes.
_LEFT_OUT = ("published", "search", "exports", "work", "locks", "logs", "cache")
_OF_THE_RUNNING_SERVER = ("prefect/server.json", "prefect/schema.lock")
_DATABASES = ("mlflow/mlflow.db", "prefect/prefect.db")
_WHOLE_BYTES = 16 << 20
_UNPACKED = ".restoring"


@dataclass(frozen=True)
class BackupReport:
    """What a backup holds."""

    path: str
    count_files: int
    count_bytes: int
    count_disk_bytes: int
    seconds: float


def backup(
    home: Home,
    path: Path,
    *,
    with_inbox: bool = True,
) -> BackupReport:
    """Write the home into one file.

    Args:
        path: the file, which must not exist; or a folder, in which it is named by the time.

    Raises:
        InputError: the file exists, its folder does not, or it is inside the home.
        HomeError: a block of the warehouse cannot be read, or the file cannot be written.

    Only its owner may read it; of a home that a group shares, also the group.
    """
    began = time.perf_counter()
    target = path.expanduser().absolute()
    if target.is_dir():
        target /= f"sentiment-{datetime.now(UTC):%Y%m%dT%H%M%S}.tar.zst"
    if target.exists():
        raise InputError(f"{target} exists already and was not touched. Name another file, or a folder.")
    if not target.parent.is_dir():
        raise InputError(f"There is no folder {target.parent} to write {target.name} into.")
    if target.resolve().is_relative_to(home.root.resolve()):
        raise InputError(
            f"{target} is inside the home that it is to save. Name a file elsewhere, best on another disk."
        )
    with (
        operation_lock(home, "upkeep"),
        tempfile.TemporaryDirectory(dir=home.work, prefix="backup-") as folder,
        translated_errors(home),
    ):
        copies = _copy_databases(home, Path(folder))
        with atomic_write(target, mode=0o600) as draft, draft.open("wb") as file:
            files = _write(home, file, copies, with_inbox)
            _share_as(home, draft)
    return BackupReport(
        str(target),
        len(files),
        sum(entry["bytes"] for entry in files.values()),
        target.stat().st_size,
        time.perf_counter() - began,
    )


def _share_as(home: Home, path: Path) -> None:
    """Let the group that may write the home read and write a file as well, and no other group."""
    shared = home.root.stat()
    if shared.st_mode & 0o020:
        with suppress(PermissionError):
            os.chown(path, -1, shared.st_gid)
            path.chmod(0o660)


def restore(home: Home, path: Path) -> BackupReport:
    """Restore a backup into an empty home, at any path, and publish its snapshot.

    Raises:
        InputError: the home is not empty, or a restore of another file into it was interrupted; or the file is no backup, is
            damaged, or was made by a newer version.
        HomeError: the home cannot be written, or files of an interrupted restore are gone.
    """
    began = time.perf_counter()
    with operation_lock(home, "upkeep"), translated_errors(home):
        unpacked, noted = home.root / _UNPACKED, home.root / f"{_UNPACKED}.json"
        if noted.exists():
            manifest = _begun(home, noted, path)
        else:
            shutil.rmtree(unpacked, ignore_errors=True)
            if not path.is_file():
                raise InputError(f"There is no file {path}. Name one that `sentiment backup` wrote.")
            _refuse_unless_empty(home)
            forget_metadata(home.warehouse)
            try:
                manifest = _unpack(path, unpacked)
            except BaseException:
                shutil.rmtree(unpacked, ignore_errors=True)
                raise
            (unpacked / MANIFEST).write_text(json.dumps({**manifest, "backup": str(path.absolute())}))
            # From here on nothing of it is read from the backup again.
            flush_tree(unpacked)
            put_in_place(unpacked / MANIFEST, noted)
        _move(manifest["files"], unpacked, home)
        if (store := home.mlflow / "mlflow.db").exists():
            relocate(store, home)
        shutil.rmtree(unpacked, ignore_errors=True)
    publish(home)
    # Last of all, so that a restore that was killed is continued until readers have a snapshot.
    noted.unlink(missing_ok=True)
    files = manifest["files"]
    return BackupReport(
        str(path.absolute()),
        len(files),
        sum(entry["bytes"] for entry in files.values()),
        path.stat().st_size if path.exists() else 0,
        time.perf_counter() - began,
    )


def _begun(home: Home, noted: Path, path: Path) -> dict[str, Any]:
    """The manifest of a restore that was interrupted; the home was empty before."""
    manifest: dict[str, Any] = json.loads(noted.read_text())
    if (other := manifest.get("backup", str(path.absolute()))) != str(path.absolute()):
        raise InputError(
            f"A restore of {other} into {home.root} was interrupted, so {path.name} was not touched. Finish that one: "
            f"sentiment restore {shlex.quote(other)}; or set SENTIMENT_HOME to a new folder."
        )
    return manifest


def _move(files: Iterable[str], unpacked: Path, home: Home) -> None:
    """Move files into the home, those left that an interrupted restore has not moved."""
    # None is moved into a folder that a power cut may take away.
    for folder in {(home.root / name).parent for name in files}:
        folder.mkdir(parents=True, exist_ok=True, mode=home.folder_mode)
    for folder in (home.root, *(made for made in home.root.rglob("*") if made.is_dir())):
        flush_to_disk(folder)
    for name in files:
        source, target = unpacked / name, home.root / name
        if source.exists():
            if home.is_shared:
                source.chmod(0o660)
            put_in_place(source, target)
        elif not target.exists():
            raise HomeError(
                f"{target} is missing, though its restore had begun. Empty {home.root}, and restore the backup once more."
            )


def _copy_databases(home: Home, folder: Path) -> dict[str, Path]:
    """Copies of the databases, by their names in the home."""
    copies: dict[str, Path] = {}
    refuse_damaged_store(home.mlflow / "mlflow.db")
    with champion_lock(home), checkpointed(home) as warehouse:
        copies[warehouse.name] = folder / warehouse.name
        shutil.copyfile(warehouse, copies[warehouse.name])
        for name in _DATABASES:
            if (home.root / name).exists():
                copies[name] = folder / Path(name).name
                with (
                    closing(sqlite3.connect(home.root / name, timeout=60)) as source,
                    closing(sqlite3.connect(copies[name])) as copy,
                ):
                    source.backup(copy)
    # A damaged block that nothing has read lately would replace a good backup by one that cannot be used.
    read_every_block(copies[home.warehouse.name])
    return copies


def _write(home: Home, file: IO[bytes], copies: dict[str, Path], with_inbox: bool) -> dict[str, dict[str, Any]]:
    files: dict[str, dict[str, Any]] = {}
    with (
        zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(file, closefd=False) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in [*copies.items(), *_other_files(home, with_inbox)]:
            # Removed since it was listed.
            with suppress(FileNotFoundError):
                files[name] = _add(tar, name, path)
        manifest = {
            "format": FORMAT,
            "made_at": datetime.now(UTC).isoformat(),
            "home": str(home.root),
            "schema_migration": known_migration(),
            "files": files,
        }
        content = json.dumps(manifest, indent=1).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(content), 0o600
        tar.addfile(entry, io.BytesIO(content))
    return files


def _other_files(home: Home, with_inbox: bool) -> Iterator[tuple[str, Path]]:
    left_out = {*_LEFT_OUT, *([] if with_inbox else ["inbox"])}
    databases = (home.warehouse.name, *_DATABASES)
    for path in sorted(home.root.rglob("*")):
        name = path.relative_to(home.root).as_posix()
        if (
            path.is_file()
            and not path.is_symlink()
            and name.partition("/")[0] not in left_out
            and name not in _OF_THE_RUNNING_SERVER
            and not name.startswith(databases)
            and path.suffix != SEAL_SUFFIX  # The times of restored files are others.
            # A file that is being written; in the inbox it is the user's.
            and (path.suffix != ".part" or name.startswith("inbox/"))
        ):
            yield name, path


def _add(tar: tarfile.TarFile, name: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = status.st_size, 0o600, int(status.st_mtime)
        # A small file that changes meanwhile is read at once; large ones are never changed, only replaced.
        source: IO[bytes] = file
        if entry.size <= _WHOLE_BYTES:
            content = file.read()
            entry.size, source = len(content), io.BytesIO(content)
        passing = _Passing(source)
        tar.addfile(entry, passing)
    return {"bytes": entry.size, "sha256": passing.digest.hexdigest()}


class _Passing(io.RawIOBase):
    """A reader that hashes what passes through it."""

    def __init__(self, source: IO[bytes]) -> None:
        self.source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self.source.read(size)
        self.digest.update(piece)
        return piece


def _refuse_unless_empty(home: Home) -> None:
    # What is kept for a warehouse that is gone is worth nothing without it.
    worthless = metadata_copy_of(home.warehouse)
    found = [
        path
        for path in home.root.rglob("*")
        if path.is_file() and path != worthless and not path.is_relative_to(home.locks)
    ]
    if found:
        raise InputError(
            f"The home {home.root} is not empty: it holds {len(found):,} file(s), such as {found[0]}. A backup is put into "
            "an empty home only: set SENTIMENT_HOME to a new folder, or move this one away."
        )


def _unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Unpack and verify everything; the manifest."""
    found: dict[str, dict[str, Any]] = {}
    with _damage_as_sentence(path), path.open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file)
        with tarfile.open(fileobj=reader, mode="r|") as tar:
            for entry in tar:
                parts = PurePosixPath(entry.name).parts
                if not entry.isfile() or entry.name.startswith("/") or ".." in parts:
                    raise tarfile.TarError(f"it has an entry {entry.name!r} that no backup has")
                source = tar.extractfile(entry)
                assert source is not None, "of a file"
                passing, target = _Passing(source), folder / entry.name
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
                    shutil.copyfileobj(passing, copy, 1 << 20)
                flush_to_disk(target)
                os.utime(target, (entry.mtime, entry.mtime))
                found[entry.name] = {"bytes": entry.size, "sha256": passing.digest.hexdigest()}
        if found.pop(MANIFEST, None) is None:
            raise tarfile.TarError("it has no manifest, so it was cut off or is no backup")
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        if manifest["files"] != found:
            wrong = sorted(name for name in manifest["files"] | found if manifest["files"].get(name) != found.get(name))
            raise tarfile.TarError(f"{wrong[0]} is not what the manifest says")
    if manifest["format"] > FORMAT or manifest["schema_migration"] > known_migration():
        raise InputError(
            f"{path} was made by a newer version of this program (schema migration {manifest['schema_migration']}, this "
            f"version knows {known_migration()}). Nothing was restored: take that version of the checkout."
        )
    return manifest


@contextmanager
def _damage_as_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}. Check the spelling.") from error
    except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be restored: {error}. Nothing was restored: take another backup.") from error
