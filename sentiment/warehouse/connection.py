"""Opens DuckDB: the warehouse for one writer, the published snapshot for everybody else.

DuckDB lets one process write or many read, never both. So writers take turns on a file lock (released by the kernel when
its holder dies), open late and close early; readers open the published snapshot, a file that nobody writes any more.
A connection costs 16 ms; migrations and views are applied when their files changed.
"""

from __future__ import annotations

import errno
import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from sentiment.errors import BusyError, HomeError, SentimentError
from sentiment.model.atomic import flush_to_disk, put_in_place
from sentiment.settings import Home
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.migrations import migrate, missing_migrations, remove_unfinished_file
from sentiment.warehouse.safeguard import Safeguard, cut_torn_commit, forget_metadata, put_back_torn_metadata
from sentiment.warehouse.session import CONFIG, Warehouse, read_sql, set_quiet


@contextmanager
def writer(home: Home) -> Iterator[Warehouse]:
    """Open the warehouse for writing, alone; wait for another writer if there is one.

    Raises:
        BusyError: another process wrote for longer than `settings.writer_wait_seconds`.
        HomeError: the file is damaged, the disk is full, or the home is read-only.
    """
    with operation_lock(home, "warehouse"), translated_errors(home), _opened(home) as warehouse:
        yield warehouse


@contextmanager
def checkpointed(home: Home) -> Iterator[Path]:
    """The checkpointed warehouse file; nobody writes to it within the context.

    Raises:
        BusyError, HomeError: as `writer`.
    """
    with operation_lock(home, "warehouse"), translated_errors(home):
        # A checkpoint of an unchanged file changes nothing, not even its time.
        with _opened(home) as warehouse:
            warehouse.connection.execute("checkpoint")
        yield home.warehouse


@contextmanager
def inspected(home: Home) -> Iterator[Warehouse]:
    """The writer's file, read-only: nothing is migrated, removed or checkpointed.

    Raises:
        BusyError, HomeError: as `writer`.
    """
    with operation_lock(home, "warehouse"), translated_errors(home):
        connection = duckdb.connect(str(home.warehouse), read_only=True, config=CONFIG)
        try:
            yield Warehouse(connection)
        finally:
            connection.close()


def read_every_block(path: Path) -> None:
    """Read a copy of a warehouse, so that DuckDB verifies each block.

    Raises:
        duckdb.Error: a block is damaged.
    """
    connection = duckdb.connect(str(path), read_only=True, config=CONFIG)
    try:
        Warehouse(connection).read_all()
    finally:
        connection.close()


def rewrite(
    home: Home,
    change: Callable[[Warehouse], None] | None = None,
) -> None:
    """Rewrite the warehouse without the blocks of deleted rows, and replace the old file atomically.

    DuckDB keeps the blocks of deleted rows in the file, with their content. Takes 3 s
    for 1.6 million tweets. A kill leaves the old file or the new one.

    Args:
        change: what to delete first, in a transaction of its own.

    Raises:
        BusyError, HomeError: as `writer`.
    """
    with operation_lock(home, "warehouse"), translated_errors(home):
        draft = home.work / "warehouse.draft.duckdb"
        for leftover in (draft, draft.with_name(f"{draft.name}.wal")):
            leftover.unlink(missing_ok=True)
        with _opened(home) as warehouse:
            if change is not None:
                with warehouse.transaction():
                    change(warehouse)
            # A file to attach cannot be a parameter; the path is the home's own.
            warehouse.connection.execute(f"attach '{str(draft).replace(chr(39), 2 * chr(39))}' as draft")
            warehouse.run("steps/warehouse/copy_to_draft")
        # The old file was checkpointed when it was closed; what belongs to it must not be applied to the new one.
        forget_metadata(home.warehouse)
        put_in_place(draft, home.warehouse)


@contextmanager
def _opened(home: Home) -> Iterator[Warehouse]:
    put_back_torn_metadata(home.warehouse)
    query = read_sql("steps/warehouse/select_metadata_blocks")
    safeguard = Safeguard(_connect(home), home.warehouse, query)
    try:
        warehouse = Warehouse(safeguard.connection, safeguard)
        migrate(warehouse)
        remove_unfinished_file(warehouse)
        yield warehouse
    finally:
        safeguard.close()


def _connect(home: Home) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + home.settings.writer_wait_seconds
    is_waiting, is_new = False, not home.warehouse.exists()
    while True:
        try:
            connection = configured(duckdb.connect(str(home.warehouse), config=bounded(home)))
            if is_new:  # DuckDB flushes what is in the file, and not its name.
                flush_to_disk(home.root)
            return connection
        except duckdb.IOException as error:
            if cut_torn_commit(home.warehouse, error):
                continue
            # Somebody opened the writer's file with another tool: wait for them as for any other process.
            if "Could not set lock" not in str(error) or time.monotonic() > deadline:
                raise
            if not is_waiting and home.on_wait is not None:
                home.on_wait(f"waiting for another program that has {home.warehouse} open: {_holder_in(error)}")
            is_waiting = True
            time.sleep(0.2)


def _holder_in(error: duckdb.Error) -> str:
    """Who holds the lock, in DuckDB's words: `/usr/bin/duckdb (PID 4711)`."""
    found = re.search(r"held in (.+?\(PID \d+\))", str(error))
    return found[1] if found else "it is not named"


def bounded(home: Home) -> dict[str, Any]:
    """Configuration of a connection: the home's memory limit, and where to spill."""
    spill = {"memory_limit": home.settings.warehouse_memory, "temp_directory": str(home.work / "duckdb")}
    return {**CONFIG, **spill}


def configured(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A connection in UTC and without a progress bar."""
    connection.execute("set global TimeZone = 'UTC'")
    set_quiet(connection)
    return connection


def tells_of_damage(error: BaseException) -> bool:
    """Whether an error of DuckDB's means that a file is damaged, or of another version."""
    return isinstance(error, duckdb.SerializationException | duckdb.FatalException) or (
        isinstance(error, duckdb.IOException | duckdb.InternalException)
        and re.search(r"not a valid DuckDB|[Cc]orrupt|checksum|read enough bytes|newer version", str(error)) is not None
    )


def _is_outside(home: Home, path: object) -> bool:
    return isinstance(path, str | Path) and not Path(path).is_relative_to(home.root)


@contextmanager
def translated_errors(home: Home, snapshot: Path | None = None) -> Iterator[None]:
    """Turn DuckDB's and the operating system's errors about disk and file into a HomeError with advice; and those of other
    libraries that say that the disk is full.

    Args:
        snapshot: the published file that is read; the warehouse unless given.
    """
    try:
        yield
    except SentimentError:
        raise
    except Exception as error:
        text = (str(error).splitlines() or [""])[0]
        if getattr(error, "errno", None) == errno.ENOSPC or re.search("No space left|disk is full", str(error)):
            advice = (
                f"The disk that holds {home.root} is full. What was finished is kept: free some space and run it again."
            )
        elif not isinstance(error, duckdb.Error | OSError):
            raise
        elif isinstance(error, duckdb.IOException) and "Could not set lock" in str(error):
            raise BusyError(
                f"{home.warehouse} is open in another program ({text}). Close it there; people read {home.published}."
            ) from error
        elif tells_of_damage(error) and snapshot is not None:
            advice = (
                f"The published snapshot {snapshot} is damaged ({text}). The warehouse that it was made of is another file. "
                f"Replace it: rm {shlex.quote(str(snapshot))} && sentiment housekeeping. If that finds the warehouse damaged "
                "too, restore a backup: SENTIMENT_HOME=NEW_FOLDER sentiment restore BACKUP"
            )
        elif tells_of_damage(error):
            advice = (
                f"{home.warehouse} cannot be opened as a DuckDB 1.x file ({text}). Nothing was changed: "
                f"copy the last published snapshot {home.published} over it or, if that one is damaged too, restore a backup: "
                "SENTIMENT_HOME=NEW_FOLDER sentiment restore BACKUP"
            )
        elif isinstance(error, PermissionError) and _is_outside(home, error.filename):
            advice = (
                f"{error.filename} may not be read or written by this user ({error.strerror}). Let its owner do this, or "
                "change its permissions."
            )
        elif isinstance(error, PermissionError | duckdb.PermissionException) or "Permission denied" in str(error):
            advice = f"The home {home.root} cannot be written ({text}). Check its permissions or set SENTIMENT_HOME."
        else:
            raise
        raise HomeError(advice) from error


@contextmanager
def scratch() -> Iterator[Warehouse]:
    """A database in memory, for SQL over Parquet files; nothing is locked."""
    connection = configured(duckdb.connect(config=CONFIG))
    try:
        yield Warehouse(connection)
    finally:
        connection.close()


@contextmanager
def reader(home: Home, *, may_spill: bool = False) -> Iterator[Warehouse]:
    """Open the newest published snapshot, read-only and locked against reading other files.

    Args:
        may_spill: for long work over all rows: respect the memory limit of the settings, and spill to the home.

    Raises:
        HomeError: nothing has been published yet, or the snapshot is damaged or of an earlier version.
    """
    if not home.published.exists():
        raise HomeError(
            f"Nothing has been published in {home.root} yet: there is no {home.published.name}. "
            "Start with `sentiment ingest PATH`, or set SENTIMENT_HOME to the home you mean."
        )
    # The link is resolved first: DuckDB caches open databases by path, and would return an older snapshot.
    snapshot = home.published.resolve()
    with translated_errors(home, snapshot):
        config = bounded(home) if may_spill else CONFIG
        connection = duckdb.connect(str(snapshot), read_only=True, config=config)
        try:
            try:
                configured(connection)
                connection.execute("set enable_external_access = false")
                connection.execute("set lock_configuration = true")
            except duckdb.InvalidInputException as error:
                # Readers in one process share the open file, with the settings that the first one locked.
                if "has been locked" not in str(error):
                    raise
            if missing_migrations(Warehouse(connection)):
                raise HomeError(
                    f"The snapshot {snapshot} was published by an earlier version of this program. Publish it again: "
                    "sentiment score"
                )
            yield Warehouse(connection)
        finally:
            connection.close()
