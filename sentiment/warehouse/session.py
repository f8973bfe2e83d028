"""One open DuckDB connection, and the SQL files that run on it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from sentiment import clock
from sentiment.warehouse.safeguard import Safeguard

# In a wheel it is in the package, in a checkout next to it.
SQL_FOLDER = next(
    (folder for folder in (parent / "sql" for parent in Path(__file__).resolve().parents[1:3]) if folder.is_dir()),
    Path("sql"),
)


CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def set_quiet(connection: duckdb.DuckDBPyConnection) -> None:
    """Switch DuckDB's progress bar off: it would disturb ours."""
    # In a notebook without ipywidgets there is none, and DuckDB refuses to switch it off.
    with suppress(duckdb.InvalidInputException):
        connection.execute("set enable_progress_bar = false")


@dataclass(frozen=True)
class Warehouse:
    """An open connection and the SQL files that run on it.

    Attributes:
        safeguard: keeps the file whole in a power cut, where this connection writes to it.
    """

    connection: duckdb.DuckDBPyConnection
    safeguard: Safeguard | None = None

    def run(self, script: str, /, **parameters: Any) -> duckdb.DuckDBPyConnection:
        """Execute `sql/<script>.sql`, statement by statement, each with the `$parameters` that it names; `$now` is given.

        Returns the connection, on which the last statement's result can be fetched.
        """
        return self._execute(script, parameters)

    def _execute(
        self, script: str, parameters: dict[str, Any], incoming: pa.Table | None = None
    ) -> duckdb.DuckDBPyConnection:
        # DuckDB finds `incoming` by its name. A registered table would be kept in memory until the transaction ends.
        parameters = {"now": clock.now(), **parameters}
        for statement in self.connection.extract_statements(read_sql(script)):
            names = statement.named_parameters
            with self._guarded():
                self.connection.execute(statement, {key: parameters[key] for key in names} if names else None)
        return self.connection

    def value(self, script: str, /, **parameters: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.run(script, **parameters).fetchone()
        return None if row is None else row[0]

    def frame(self, script: str, /, **parameters: Any) -> pl.DataFrame:
        """The result as a polars frame."""
        return self.run(script, **parameters).pl()

    def read_all(self) -> None:
        """Read every value of every table, so that DuckDB verifies every block; 1 s for 1.6 million tweets.

        Raises:
            duckdb.Error: a block is damaged.
        """
        for (table,) in self.run("steps/warehouse/select_stored_tables").fetchall():
            self.value("steps/publish/select_relation_digest", relation=table)

    def load(self, script: str, frame: pl.DataFrame, /, **parameters: Any) -> pl.DataFrame:
        """Execute `sql/<script>.sql` with `frame` visible in it as the table `incoming`; the last statement's result.

        For a writer: a reader must not look outside of its database, where DuckDB would find `incoming`; it takes `stream`.
        """
        return self._execute(script, parameters, frame.to_arrow()).pl()

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
            if self.safeguard is not None:
                self.safeguard.before()
        except BaseException:
            # An error such as a full disk has already ended the transaction.
            with suppress(duckdb.Error):
                self.connection.rollback()
            raise
        self.connection.commit()
        if self.safeguard is not None:
            self.safeguard.after()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Around a statement, which may be a transaction of its own."""
        if self.safeguard is not None:
            self.safeguard.before()
        yield
        if self.safeguard is not None:
            self.safeguard.after()


@functools.cache
def read_sql(name: str) -> str:
    """Text of `sql/<name>.sql`."""
    return (SQL_FOLDER / f"{name}.sql").read_text()
