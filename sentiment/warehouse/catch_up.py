"""Brings an old, unused snapshot to the state of the warehouse, at a cost that follows what is new.

The cost of a copy follows the size of the warehouse: 8 s for 32 million tweets, every hour, however little is new. An old
snapshot lacks only what came since: tweets with a higher change number, their predictions, and the predictions of new ranges of
the ledger. These are carried over; the other tables are small and replaced where they differ. Deleted rows show only in the
counts: then, and after a migration, the warehouse is copied. The result is one ordinary DuckDB file, like a copy.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from sentiment.settings import Home
from sentiment.warehouse.connection import bounded, configured
from sentiment.warehouse.session import Warehouse, read_sql

LEAST_BYTES = 256 << 20
"""Smaller files are copied, which is faster."""
MOST_GROWTH = 1.3
"""Largest size of a snapshot against the warehouse; replacing rows leaves free blocks."""


def catch_up(home: Home, draft: Path) -> bool:
    """Bring a snapshot to the state of the warehouse.

    Args:
        draft: a private snapshot of an earlier state. Delete it if the result is False.

    Returns:
        whether it succeeded; if not, the warehouse must be copied.
    """
    if draft.stat().st_size > MOST_GROWTH * home.warehouse.stat().st_size or not is_unused(draft):
        return False
    try:
        with _attached(home, draft) as both:
            if not _carry_over(both):
                return False
            both.connection.execute("checkpoint draft")
            return bool(both.value("steps/warehouse/select_is_equal"))
    except duckdb.Error:
        # Damaged, or of a version whose tables differ: a copy takes its place, or reports what is wrong.
        return False


def is_unused(path: Path) -> bool:
    """Whether nobody, this process included, has a file open; False where the system cannot tell.

    Linux grants a write lease on a file only to its one holder.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        # The kernel signals this process when another one opens the file; the default signal would end it.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextmanager
def _attached(home: Home, draft: Path) -> Iterator[Warehouse]:
    connection = configured(duckdb.connect(config=bounded(home)))
    try:
        # A file to attach cannot be a parameter; both paths are the home's own.
        connection.execute(f"attach '{_quoted(draft)}' as draft")
        connection.execute(f"attach '{_quoted(home.warehouse)}' as source (read_only)")
        yield Warehouse(connection)
    finally:
        connection.close()


def _carry_over(both: Warehouse) -> bool:
    last_number, count_numbers, can_catch_up = both.run("steps/warehouse/select_catch_up").fetchone() or (0, 0, False)
    if not can_catch_up:
        return False
    with both.transaction():
        count, least, greatest = _select_changed(both, last_number + 1, None)
        if count:
            both.run("steps/warehouse/carry_over_tweets", last_number=last_number, least=least, greatest=greatest)
        for model_version, first, end in _new_ranges(both, last_number + 1):
            count, least, greatest = _select_changed(both, first, end)
            if count:
                both.run(
                    "steps/warehouse/carry_over_predictions",
                    model_version=model_version,
                    least=least,
                    greatest=greatest,
                )
        for (table,) in both.run("steps/warehouse/select_tables").fetchall():
            if _digest(both, "draft", table) != _digest(both, "source", table):
                # A table cannot be a parameter; the name is from the warehouse's own catalogue.
                identifier = '"' + table.replace('"', '""') + '"'
                for statement in read_sql("steps/warehouse/replace_table").format(table=identifier).split(";")[:-1]:
                    both.connection.execute(statement)
        both.run("steps/warehouse/advance_change_numbers", count_numbers=count_numbers)
    return True


def _select_changed(both: Warehouse, first: int, end: int | None) -> tuple[int, int, int]:
    found = both.run("steps/warehouse/select_changed", first_number=first, end_number=end).fetchone()
    assert found is not None
    return found[0], found[1], found[2]


def _new_ranges(both: Warehouse, end: int) -> list[tuple[int, int, int]]:
    """What versions have scored since, of unchanged tweets: version and range of change numbers, below `end`."""
    rows = both.run("steps/warehouse/select_ledgers").fetchall()
    before = [row[1:] for row in rows if row[0] == "draft"]
    found = []
    for _, version, first, last in (row for row in rows if row[0] == "source"):
        start, stop = first, min(last, end)
        for other, covered_from, covered_to in before:
            if other == version and covered_from < stop and covered_to > start:
                if start < covered_from:
                    found.append((version, start, covered_from))
                start = max(start, covered_to)
        if start < stop:
            found.append((version, start, stop))
    return found


def _digest(both: Warehouse, database: str, table: str) -> str:
    return str(both.value("steps/publish/select_relation_digest", relation=f'{database}.main."{table}"'))


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
