"""The only module that opens DuckDB: one writer, migrations, SQL files, and the snapshot that everybody else reads.

DuckDB lets one process write or many read, never both. So writers take turns on a file lock (released by the kernel when
its holder dies), open late and close early; readers open the published snapshot, a file that nobody writes any more.
A connection costs 16 ms; migrations and views are applied when their files changed.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from sentiment import clock
from sentiment.errors import BusyError, HomeError, InputError
from sentiment.locks import operation_lock
from sentiment.settings import Home, Settings

SQL_FOLDER = Path(__file__).resolve().parents[1] / "sql"
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


@dataclass(frozen=True)
class Warehouse:
    """An open connection and the SQL files that run on it."""

    connection: duckdb.DuckDBPyConnection

    def run(self, script: str, /, **parameters: Any) -> duckdb.DuckDBPyConnection:
        """Execute `sql/<script>.sql`, statement by statement, each with the `$parameters` that it names; `$now` is given.

        Returns the connection, on which the last statement's result can be fetched.
        """
        parameters = {"now": clock.now(), **parameters}
        for statement in self.connection.extract_statements(read_sql(script)):
            names = statement.named_parameters
            self.connection.execute(statement, {key: parameters[key] for key in names} if names else None)
        return self.connection

    def value(self, script: str, /, **parameters: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.run(script, **parameters).fetchone()
        return None if row is None else row[0]

    def frame(self, script: str, /, **parameters: Any) -> pl.DataFrame:
        """The result as a polars frame."""
        return self.run(script, **parameters).pl()

    def load(self, script: str, frame: pl.DataFrame, /, **parameters: Any) -> pl.DataFrame:
        """Execute `sql/<script>.sql` with `frame` visible in it as the table `incoming`; the last statement's result."""
        self.connection.register("incoming", frame.to_arrow())
        try:
            return self.run(script, **parameters).pl()
        finally:
            self.connection.unregister("incoming")

    @contextmanager
    def stream(
        self, script: str, frame: pl.DataFrame, batch_rows: int, /, **parameters: Any
    ) -> Iterator[pa.RecordBatchReader]:
        """As `load`, with the result batch by batch."""
        self.connection.register("incoming", frame.to_arrow())
        try:
            yield self.run(script, **parameters).to_arrow_reader(batch_rows)
        finally:
            self.connection.unregister("incoming")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: commit at the end, roll back on any error."""
        self.connection.begin()
        try:
            yield
        except BaseException:
            # After an error that already ended the transaction, such as a full disk, there is nothing to roll back.
            with suppress(duckdb.Error):
                self.connection.rollback()
            raise
        self.connection.commit()


@functools.cache
def read_sql(name: str) -> str:
    """Text of `sql/<name>.sql`."""
    return (SQL_FOLDER / f"{name}.sql").read_text()


@contextmanager
def writer(home: Home, settings: Settings, on_wait: Callable[[str], None] | None = None) -> Iterator[Warehouse]:
    """Open the warehouse for writing, alone; wait for another writer if there is one.

    Args:
        on_wait: told, once, what is being waited for.

    Raises:
        BusyError: another process wrote for longer than `settings.writer_wait_seconds`.
        HomeError: the file is damaged, the disk is full, or the home is read-only.
    """
    with operation_lock(home, "warehouse", settings.writer_wait_seconds, on_wait), translated_errors(home):
        connection = _connect(home, settings)
        try:
            warehouse = Warehouse(connection)
            migrate(warehouse)
            remove_unfinished_file(warehouse)
            yield warehouse
        finally:
            connection.close()


@contextmanager
def checkpointed(home: Home, settings: Settings, on_wait: Callable[[str], None] | None = None) -> Iterator[Path]:
    """The warehouse file with everything in it and nobody writing, for as long as the context lasts.

    Raises:
        BusyError, HomeError: as `writer`.
    """
    with operation_lock(home, "warehouse", settings.writer_wait_seconds, on_wait), translated_errors(home):
        # A checkpoint of an unchanged file changes nothing, not even its time.
        connection = _connect(home, settings)
        try:
            migrate(Warehouse(connection))
            remove_unfinished_file(Warehouse(connection))
            connection.execute("checkpoint")
        finally:
            connection.close()
        yield home.warehouse


@contextmanager
def inspected(home: Home, settings: Settings) -> Iterator[Warehouse]:
    """The writer's file as it is, read-only: nothing is migrated, removed or checkpointed.

    Raises:
        BusyError, HomeError: as `writer`.
    """
    with operation_lock(home, "warehouse", settings.writer_wait_seconds), translated_errors(home):
        connection = duckdb.connect(str(home.warehouse), read_only=True, config=CONFIG)
        try:
            yield Warehouse(connection)
        finally:
            connection.close()


def rewrite(
    home: Home,
    settings: Settings,
    change: Callable[[Warehouse], None] | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> None:
    """Write the warehouse anew, without the blocks of what was deleted, and put it in the old one's place in one step.

    DuckDB gives the blocks of deleted rows back to the file and not to the disk, and leaves what stood in them. Takes 3 s
    for 1.6 million tweets. A kill leaves the old file or the new one.

    Args:
        change: what to delete first, in a transaction of its own.

    Raises:
        BusyError, HomeError: as `writer`.
    """
    with operation_lock(home, "warehouse", settings.writer_wait_seconds, on_wait), translated_errors(home):
        draft = home.work / "warehouse.draft.duckdb"
        for leftover in (draft, draft.with_name(f"{draft.name}.wal")):
            leftover.unlink(missing_ok=True)
        connection = _connect(home, settings)
        try:
            warehouse = Warehouse(connection)
            migrate(warehouse)
            remove_unfinished_file(warehouse)
            if change is not None:
                with warehouse.transaction():
                    change(warehouse)
            # A file to attach cannot be a parameter; the path is the home's own.
            connection.execute(f"attach '{str(draft).replace(chr(39), 2 * chr(39))}' as draft")
            warehouse.run("steps/copy_to_draft")
        finally:
            connection.close()
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        # The old file was checkpointed as it was closed; a log that is left of it must not be applied to the new one.
        home.warehouse.with_name(f"{home.warehouse.name}.wal").unlink(missing_ok=True)
        draft.replace(home.warehouse)


def _connect(home: Home, settings: Settings) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + settings.writer_wait_seconds
    while True:
        try:
            connection = duckdb.connect(str(home.warehouse), config=_bounded(home, settings))
            return _configured(connection)
        except duckdb.IOException as error:
            # Somebody opened the writer's file with another tool: wait for them as for any other process.
            if "Could not set lock" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _bounded(home: Home, settings: Settings) -> dict[str, Any]:
    spill = {"memory_limit": settings.warehouse_memory, "temp_directory": str(home.work / "duckdb")}
    return {**CONFIG, **spill}


def _configured(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
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


def remove_unfinished_file(warehouse: Warehouse) -> None:
    """Take out what a run that was killed while it loaded a file has left of it; nobody has seen it."""
    if warehouse.value("steps/count_unfinished_files"):
        with warehouse.transaction():
            warehouse.run("steps/remove_unfinished_rows")


def migrate(warehouse: Warehouse) -> None:
    """Apply the numbered migrations of `sql/tables/` that are new, in order, and the views when any file of them changed.

    Raises:
        HomeError: the file was made by a newer version of this program.
    """
    run = warehouse.run
    run("steps/create_schema_migrations")
    applied = {number for (number,) in run("steps/select_schema_migrations").fetchall()}
    migrations = _migrations()
    if unknown := sorted(applied - migrations.keys()):
        raise HomeError(
            f"The warehouse was written by a newer version (it has schema migration {unknown[-1]}, this version knows "
            f"{max(migrations)}). Take that version of the checkout, or set SENTIMENT_HOME to another folder."
        )
    for number, stem in migrations.items():
        if number not in applied:
            with warehouse.transaction():
                run(f"tables/{stem}")
                run("steps/insert_schema_migration", number=number, name=stem)
    views = [path.stem for path in sorted((SQL_FOLDER / "views").glob("*.sql"))]
    digest = hashlib.sha256("".join(read_sql(f"views/{view}") for view in views).encode()).hexdigest()
    if warehouse.value("steps/select_view_digest") != digest:
        with warehouse.transaction():
            for view in views:
                run(f"views/{view}")
            run("steps/update_view_digest", digest=digest)


def known_migration() -> int:
    """The newest schema migration of this version of the program."""
    return max(_migrations())


def _migrations() -> dict[int, str]:
    return {int(path.stem[:4]): path.stem for path in sorted((SQL_FOLDER / "tables").glob("[0-9]*.sql"))}


@contextmanager
def scratch() -> Iterator[Warehouse]:
    """A database in memory, for SQL over Parquet files alone; nothing is locked."""
    connection = _configured(duckdb.connect(config=CONFIG))
    try:
        yield Warehouse(connection)
    finally:
        connection.close()


@contextmanager
def reader(home: Home, settings: Settings | None = None) -> Iterator[Warehouse]:
    """Open the newest published snapshot, read-only and locked against reading other files.

    Args:
        settings: for long work over all rows: holds to their memory and spills to the home beyond it.

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
        config = CONFIG if settings is None else _bounded(home, settings)
        connection = duckdb.connect(str(home.published.resolve()), read_only=True, config=config)
        try:
            try:
                _configured(connection)
                connection.execute("set enable_external_access = false")
                connection.execute("set lock_configuration = true")
            except duckdb.InvalidInputException as error:
                # Readers of one process share the open file, with what the first of them set and locked.
                if "has been locked" not in str(error):
                    raise
            yield Warehouse(connection)
        finally:
            connection.close()


def query(home: Home, statement: str) -> pl.DataFrame:
    """Run a user's query on the snapshot; `answer` for results that may not fit into memory.

    Raises:
        InputError: the query is not valid; DuckDB's own explanation is in the message.
    """
    with answer(home, statement) as batches:
        return pl.DataFrame(batches.read_all())


@contextmanager
def answer(home: Home, statement: str, batch_rows: int = 50_000) -> Iterator[pa.RecordBatchReader]:
    """The answer to a user's query on the snapshot, batch by batch.

    Raises:
        InputError: the query is not valid, or fails on some row; while iterating as well.
    """
    with reader(home) as snapshot:
        try:
            result = snapshot.connection.execute(statement)
            if result is None or result.description is None:
                raise InputError(
                    "The query returns nothing. Expected a query such as: select * from scored_tweets limit 5"
                )
            yield result.to_arrow_reader(batch_rows)
        except (duckdb.Error, pa.ArrowException) as error:
            names = [name for _, name, _ in snapshot.run("steps/select_relations").fetchall()]
            is_unknown = "Table with name" in str(error)
            tables = f"\nTables and views: {', '.join(names)}" if is_unknown else ""
            raise InputError(f"The query cannot be run: {error}{tables}") from error
