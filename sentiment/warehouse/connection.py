"""The only module that opens DuckDB: one writer, migrations, SQL files, and the snapshot that everybody else reads.

DuckDB lets one process write or many read, never both. So writers take turns on a file lock (released by the kernel when
its holder dies), open late and close early; readers open the published snapshot, a file that nobody writes any more.
A connection costs 16 ms; migrations and views are applied when their files changed.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from sentiment.errors import BusyError, HomeError
from sentiment.locks import operation_lock
from sentiment.model.atomic import put_in_place
from sentiment.settings import Home
from sentiment.warehouse.migrations import migrate, remove_unfinished_file
from sentiment.warehouse.session import CONFIG, Warehouse


@contextmanager
def writer(home: Home) -> Iterator[Warehouse]:
    """Open the warehouse for writing, alone; wait for another writer if there is one.

    Args:

    Raises:
        BusyError: another process wrote for longer than `settings.writer_wait_seconds`.
        HomeError: the file is damaged, the disk is full, or the home is read-only.
    """
    with operation_lock(home, "warehouse"), translated_errors(home):
        connection = _connect(home)
        try:
            warehouse = Warehouse(connection)
            migrate(warehouse)
            remove_unfinished_file(warehouse)
            yield warehouse
        finally:
            connection.close()


@contextmanager
def checkpointed(home: Home) -> Iterator[Path]:
    """The warehouse file with everything in it and nobody writing, for as long as the context lasts.

    Raises:
        BusyError, HomeError: as `writer`.
    """
    with operation_lock(home, "warehouse"), translated_errors(home):
        # A checkpoint of an unchanged file changes nothing, not even its time.
        connection = _connect(home)
        try:
            migrate(Warehouse(connection))
            remove_unfinished_file(Warehouse(connection))
            connection.execute("checkpoint")
        finally:
            connection.close()
        yield home.warehouse


@contextmanager
def inspected(home: Home) -> Iterator[Warehouse]:
    """The writer's file as it is, read-only: nothing is migrated, removed or checkpointed.

    Raises:
        BusyError, HomeError: as `writer`.
    """
    with operation_lock(home, "warehouse"), translated_errors(home):
        connection = duckdb.connect(str(home.warehouse), read_only=True, config=CONFIG)
        try:
            yield Warehouse(connection)
        finally:
            connection.close()


def rewrite(
    home: Home,
    change: Callable[[Warehouse], None] | None = None,
) -> None:
    """Write the warehouse anew, without the blocks of what was deleted, and put it in the old one's place in one step.

    DuckDB gives the blocks of deleted rows back to the file and not to the disk, and leaves what stood in them. Takes 3 s
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
        connection = _connect(home)
        try:
            warehouse = Warehouse(connection)
            migrate(warehouse)
            remove_unfinished_file(warehouse)
            if change is not None:
                with warehouse.transaction():
                    change(warehouse)
            # A file to attach cannot be a parameter; the path is the home's own.
            connection.execute(f"attach '{str(draft).replace(chr(39), 2 * chr(39))}' as draft")
            warehouse.run("steps/warehouse/copy_to_draft")
        finally:
            connection.close()
        # The old file was checkpointed as it was closed; a log that is left of it must not be applied to the new one.
        home.warehouse.with_name(f"{home.warehouse.name}.wal").unlink(missing_ok=True)
        put_in_place(draft, home.warehouse)


def _connect(home: Home) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + home.settings.writer_wait_seconds
    is_waiting = False
    while True:
        try:
            connection = duckdb.connect(str(home.warehouse), config=bounded(home))
            return configured(connection)
        except duckdb.IOException as error:
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
    """Configuration of a connection that holds to the home's memory and spills there."""
    spill = {"memory_limit": home.settings.warehouse_memory, "temp_directory": str(home.work / "duckdb")}
    return {**CONFIG, **spill}


def configured(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A connection in UTC and without a progress bar."""
    # Neither can be given to connect; a bar of DuckDB's own would cut through ours.
    connection.execute("set global TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    return connection


@contextmanager
def translated_errors(home: Home) -> Iterator[None]:
    """Turn what DuckDB and the operating system say of disk and file into a HomeError with advice."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        text = str(error).splitlines()[0]
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            advice = (
                f"The disk that holds {home.root} is full. What was finished is kept: free some space and run it again."
            )
        elif isinstance(error, duckdb.IOException) and "Could not set lock" in str(error):
            raise BusyError(
                f"{home.warehouse} is open in another program ({text}). Close it there; people read {home.published}."
            ) from error
        elif isinstance(error, duckdb.SerializationException | duckdb.FatalException) or (
            isinstance(error, duckdb.IOException | duckdb.InternalException)
            and re.search(r"not a valid DuckDB|[Cc]orrupt|checksum|read enough bytes|newer version", str(error))
        ):
            advice = (
                f"{home.warehouse} cannot be opened as a DuckDB 1.x file ({text}). Nothing was changed: "
                f"put a backup in its place, or copy the last published snapshot {home.published} over it."
            )
        elif isinstance(error, PermissionError | duckdb.PermissionException) or "Permission denied" in str(error):
            advice = f"The home {home.root} cannot be written ({text}). Check its permissions or set SENTIMENT_HOME."
        else:
            raise
        raise HomeError(advice) from error


@contextmanager
def scratch() -> Iterator[Warehouse]:
    """A database in memory, for SQL over Parquet files alone; nothing is locked."""
    connection = configured(duckdb.connect(config=CONFIG))
    try:
        yield Warehouse(connection)
    finally:
        connection.close()


@contextmanager
def reader(home: Home, *, may_spill: bool = False) -> Iterator[Warehouse]:
    """Open the newest published snapshot, read-only and locked against reading other files.

    Args:
        may_spill: for long work over all rows: keeps to the memory that the settings allow, and spills to the home.

    Raises:
        HomeError: nothing has been published yet, or the snapshot is damaged.
    """
    if not home.published.exists():
        raise HomeError(
            f"Nothing has been published in {home.root} yet: there is no {home.published.name}. "
            "Start with `sentiment ingest PATH`, or set SENTIMENT_HOME to the home you mean."
        )
    with translated_errors(home):
        # The link is resolved first: DuckDB keys open databases by path, and would give an older snapshot's data again.
        config = bounded(home) if may_spill else CONFIG
        connection = duckdb.connect(str(home.published.resolve()), read_only=True, config=config)
        try:
            try:
                configured(connection)
                connection.execute("set enable_external_access = false")
                connection.execute("set lock_configuration = true")
            except duckdb.InvalidInputException as error:
                # Readers of one process share the open file, with what the first of them set and locked.
                if "has been locked" not in str(error):
                    raise
            yield Warehouse(connection)
        finally:
            connection.close()
