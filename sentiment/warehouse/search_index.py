"""Builds the search index of a snapshot: tweets by time, words by tweet, and counts by day, in a separate DuckDB file.

Pages look up tweets by word, user or day among millions; without an index, each request would scan and join the tables. The
index is derived from the snapshot alone and can be deleted at any time. Its name is a digest of what it depends on, so a
correction, which changes none of it, does not rebuild it. Building takes 28 CPU seconds for 1.6 million tweets, in a process of
its own with low priority (`python -m sentiment.warehouse.search_index SNAPSHOT INDEX`), 800 MB of memory and 134 MB of disk;
a search then takes 20 to 160 ms of one processor.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from sentiment.model.atomic import atomic_write
from sentiment.settings import Home
from sentiment.warehouse.connection import reader
from sentiment.warehouse.session import CONFIG, Warehouse, read_sql, set_quiet

LEAST_TOPIC_TWEETS = 20
STEPS = {
    "create_tweets": "sorting tweets",
    "create_days": "counting days",
    "create_tokens": "reading words",
    "create_words": "counting words",
    "create_postings": "indexing words",
    "create_topics": "counting topics",
    "create_complaints": "counting complaints",
    "create_matching": "finishing",
}


def index_path(home: Home) -> Path:
    """Where the index of the newest snapshot is, or will be.

    Raises:
        HomeError: nothing has been published yet, or the snapshot is damaged or of an earlier version.
    """
    with reader(home) as snapshot:
        parts = snapshot.run("desk/select_index_key").fetchone()
    layout = hash_of("".join(read_sql(f"desk/index/{step}") for step in STEPS))
    return home.search_index / f"{hash_of(repr(parts) + layout)}.duckdb"


def hash_of(text: str) -> str:
    """A short digest that is the same on every machine."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build(snapshot: Path, index: Path, memory: str) -> Iterator[str]:
    """Build and publish the index of a snapshot; yields the name of each next step."""
    spill = {"memory_limit": memory, "temp_directory": str(index.parent / "spill")}
    with atomic_write(index) as draft:
        # The write-ahead log of a build that was killed.
        draft.with_name(f"{draft.name}.wal").unlink(missing_ok=True)
        connection = duckdb.connect(str(draft), config={**CONFIG, **spill})
        try:
            connection.execute("set TimeZone = 'UTC'")
            set_quiet(connection)
            # A file to attach cannot be a parameter; the path is the home's own.
            connection.execute(f"attach '{str(snapshot).replace(chr(39), 2 * chr(39))}' as snapshot (read_only)")
            for step, words in STEPS.items():
                yield words
                Warehouse(connection).run(f"desk/index/{step}", least_tweets=LEAST_TOPIC_TWEETS)
            connection.execute("detach snapshot")
            connection.execute("checkpoint")
        finally:
            connection.close()


def open_shared(path: Path) -> duckdb.DuckDBPyConnection:
    """A snapshot or an index, read-only and locked against reading other files; `cursor()` gives each thread its own."""
    connection = duckdb.connect(str(path), read_only=True, config=CONFIG)
    try:
        connection.execute("set global TimeZone = 'UTC'")
        set_quiet(connection)
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
    except duckdb.InvalidInputException as error:
        # Readers in one process share the open file, with the settings that the first one locked.
        if "has been locked" not in str(error):
            raise
    return connection


def main() -> None:
    """Build in this process, at low priority: `SNAPSHOT INDEX MEMORY`; prints a line for each step."""
    snapshot, index, memory = sys.argv[1:]
    os.nice(10)
    for words in build(Path(snapshot), Path(index), memory):
        sys.stdout.write(f"{words}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
