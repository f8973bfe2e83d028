"""Publishes the snapshot to another database: only what changed, in one transaction, and repeatable after a kill.

Changed rows of tweets go to staging tables, committed piece by piece in the order of ids; after a kill, the next run resumes
after the last piece. Then one transaction applies them, replaces the small tables that changed, and records which snapshot is
shown: readers see all of the old state or all of the new one. Published tables are created once and then only filled, so views,
grants and indexes that people put on them stay.

What it costs, against a plain COPY of the same rows, is measured by `benchmarks/publish.py`.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from sqlalchemy import URL, Connection, Engine, Table, delete, func, insert, inspect, select, update
from sqlalchemy.schema import CreateSchema

from sentiment.database_url import check_address, open_database
from sentiment.errors import DatabaseError, InputError
from sentiment.publish.changes import Changes, changes_between, manifest_of, read_manifest
from sentiment.publish.dataset import publish_to_dataset
from sentiment.publish.lake import publish_to_lake
from sentiment.publish.report import TargetReport
from sentiment.publish.rows import write_rows
from sentiment.publish.tables import published_tables, staging_table, state_table
from sentiment.settings import Home
from sentiment.warehouse.connection import reader
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.session import Warehouse

PIECE_ROWS = 200_000
SCHEMA = "sentiment"
"""Schema of the tables in PostgreSQL; other databases have one schema."""


def publish_to(
    home: Home,
    address: str,
    *,
    schema: str | None = None,
    piece_rows: int = PIECE_ROWS,
    on_progress: Callable[[int, int], None] | None = None,
) -> TargetReport:
    """Bring another database to the state of the published snapshot.

    Args:
        address: SQLAlchemy URL without a password; `delta:///folder` or `delta+s3://bucket/prefix` for a Delta table;
            `parquet:///folder` for Parquet files by day.
        schema: of the tables there; in PostgreSQL `sentiment` unless given, and made if it is not there.
        piece_rows: rows that are sent and committed at a time: what a kill can cost.
        on_progress: called with the number of rows sent, and the total.

    Raises:
        InputError: the address cannot be used, or holds tables of the same names that this program did not create.
        DatabaseError: the database cannot be reached, or refuses.
        HomeError: nothing has been published here yet.
        BusyError: another run is publishing there.
    """
    url = check_address(address)
    if url.get_backend_name() == "parquet":
        return publish_to_dataset(home, url, on_progress)
    if schema is None and url.get_backend_name() == "postgresql":
        schema = SCHEMA
    key = hashlib.sha256(f"{url} {schema}".encode()).hexdigest()[:16]
    with operation_lock(home, f"target-{key}"):
        if url.get_backend_name() == "delta":
            return publish_to_lake(home, url, key, on_progress)
        return _publish_to_database(home, url, schema, home.root / "targets" / key, piece_rows, on_progress)


def _publish_to_database(
    home: Home,
    url: URL,
    schema: str | None,
    manifests: Path,
    piece_rows: int,
    on_progress: Callable[[int, int], None] | None,
) -> TargetReport:
    began = time.perf_counter()
    with open_database(str(url)) as engine, reader(home, may_spill=True) as snapshot:
        publication = home.published.resolve().stem
        target = _Target(engine, schema, published_tables(snapshot, schema))
        base = target.prepare()
        former = None if base is None else read_manifest(manifests / base)
        now = manifest_of(snapshot, list(target.tables))
        changes = changes_between(former, now, target.missing())
        if changes:
            target.stage(snapshot, changes, publication, base if former else None, piece_rows, on_progress)
            # Before the commit: after a kill, the manifest of either snapshot exists.
            now.save(manifests / publication)
            target.take_over(snapshot, changes, publication, base)
            for old in manifests.iterdir():
                if old.name != publication:
                    shutil.rmtree(old, ignore_errors=True)
    return TargetReport(
        str(url),
        publication if changes else base or publication,
        changes.count_written,
        sum(map(len, changes.removed.values())),
        changes.whole,
        time.perf_counter() - began,
    )


class _Target:
    """The tables in the other database."""

    def __init__(self, engine: Engine, schema: str | None, tables: dict[str, Table]) -> None:
        self.engine = engine
        self.schema = schema
        self.tables = tables
        self.state = state_table(schema)
        is_postgresql = engine.dialect.name == "postgresql"
        self.staging = {name: staging_table(table, is_postgresql=is_postgresql) for name, table in tables.items()}

    def prepare(self) -> str | None:
        """Create schema and state table if they are missing; return the publication that is shown, or None.

        Raises:
            InputError: there are tables of the same names that this program did not create.
        """
        with self.engine.begin() as connection:
            found = inspect(connection)
            if self.schema and self.schema not in found.get_schema_names():
                connection.execute(CreateSchema(self.schema))
            names = set(found.get_table_names(self.schema)) | set(found.get_view_names(self.schema))
            if self.state.name not in names:
                if foreign := sorted(names & self.tables.keys()):
                    raise InputError(
                        f"{self.engine.url} already holds {', '.join(foreign)}, which did not come from here. Nothing was "
                        f"changed: publish into another schema with --schema, or into another database."
                    )
                self.state.create(connection)
            shown = select(self.state.c.publication).where(self.state.c.kind == "published")
            return connection.execute(shown).scalar()

    def missing(self) -> set[str]:
        """Relations that are missing, or whose columns differ."""
        with self.engine.connect() as connection:
            found = inspect(connection)
            names = found.get_table_names(self.schema)
            return {
                name
                for name, table in self.tables.items()
                if name not in names
                or [column["name"] for column in found.get_columns(name, self.schema)]
                != [c.name for c in table.columns]
            }

    def stage(
        self,
        snapshot: Warehouse,
        changes: Changes,
        publication: str,
        base: str | None,
        piece_rows: int,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        """Send changed rows to the staging tables; resume an earlier run that was sending the same snapshot."""
        with self.engine.begin() as connection:
            if not self._is_staged(connection, publication, base):
                self._start_staging(connection, changes, publication, base)
        done = 0
        for name, tweets in changes.written.items():
            staging = self.staging[name]
            with self.engine.connect() as connection:
                last = select(func.max(staging.c.tweet_id)).where(staging.c.is_removed.is_(False))
                after = connection.execute(last).scalar()
            done += 0 if after is None else int((tweets["tweet_id"] <= after).sum())
            parameters = {"relation": name, "after": -1 if after is None else after}
            with snapshot.stream("steps/publish/select_rows_of_tweets", tweets, piece_rows, **parameters) as pieces:
                for piece in pieces:
                    rows = pl.DataFrame(piece).with_columns(is_removed=pl.lit(False))
                    with self.engine.begin() as connection:
                        write_rows(connection, staging, rows)
                    done += len(rows)
                    if on_progress is not None:
                        on_progress(done, changes.count_written)

    def _is_staged(self, connection: Connection, publication: str, base: str | None) -> bool:
        staged = select(self.state.c.publication, self.state.c.base).where(self.state.c.kind == "staged")
        found = connection.execute(staged).one_or_none()
        return found is not None and tuple(found) == (publication, base)

    def _start_staging(self, connection: Connection, changes: Changes, publication: str, base: str | None) -> None:
        self._drop_staging(connection)
        for name, removed in changes.removed.items():
            staging = self.staging[name]
            staging.create(connection)
            write_rows(connection, staging, removed.with_columns(is_removed=pl.lit(True)))
        self._write_state(connection, "staged", publication, base)

    def _drop_staging(self, connection: Connection) -> None:
        for staging in self.staging.values():
            staging.drop(connection, checkfirst=True)
        connection.execute(delete(self.state).where(self.state.c.kind == "staged"))

    def _write_state(self, connection: Connection, kind: str, publication: str, base: str | None) -> None:
        row = {"kind": kind, "publication": publication, "base": base, "changed_at": datetime.now(UTC)}
        connection.execute(insert(self.state), row)

    def take_over(self, snapshot: Warehouse, changes: Changes, publication: str, base: str | None) -> None:
        """Show the new state, in one transaction.

        Raises:
            DatabaseError: somebody else published there meanwhile.
        """
        missing = self.missing()
        with self.engine.begin() as connection:
            for name in missing:
                self.tables[name].drop(connection, checkfirst=True)
                self.tables[name].create(connection)
            for name in changes.written:
                self._take_over_tweets(connection, name, is_whole=name in changes.is_whole)
            for name in changes.whole:
                connection.execute(delete(self.tables[name]))
                write_rows(
                    connection, self.tables[name], snapshot.frame("steps/publish/select_relation", relation=name)
                )
            self._drop_staging(connection)
            if base is None:
                self._write_state(connection, "published", publication, None)
            else:
                shown = (self.state.c.kind == "published") & (self.state.c.publication == base)
                changed = {"publication": publication, "base": base, "changed_at": datetime.now(UTC)}
                if connection.execute(update(self.state).where(shown).values(changed)).rowcount != 1:
                    raise DatabaseError(f"Another run has published to {self.engine.url} meanwhile. Run it again.")

    def _take_over_tweets(self, connection: Connection, name: str, *, is_whole: bool) -> None:
        table, staging = self.tables[name], self.staging[name]
        old = delete(table)
        connection.execute(old if is_whole else old.where(table.c.tweet_id.in_(select(staging.c.tweet_id))))
        names = [column.name for column in table.columns]
        new = select(*(staging.c[column] for column in names)).where(staging.c.is_removed.is_(False))
        connection.execute(insert(table).from_select(names, new.order_by(staging.c.tweet_id)))
