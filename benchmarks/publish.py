"""Publishing to PostgreSQL against its own COPY, and killed in the middle: `python -m benchmarks.publish`.

The peer copies the same rows into a bare table, without key, staging or comparison: the least that can be done. Then nothing
is new; then 16,000 tweets are; then all rows change, and the publication is killed twice while somebody reads, once on its
way and once while it takes over. PostgreSQL is started for it with its usual settings. Nothing in the home of
`SENTIMENT_HOME` is changed; without one, the tweets are scored first.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy

from benchmarks.data import run, scored_home
from sentiment.publish import publish_to
from sentiment.publish.rows import write_rows
from sentiment.publish.tables import published_tables
from sentiment.publish.target import SCHEMA
from sentiment.sample import Span, write_sample
from sentiment.settings import Home
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.snapshot import publish
from tests.postgresql_server import PASSWORD, postgresql_server

MORE_ROWS = 16_000
# One transaction takes the rows over, so that all of them have one of two sets of times.
SHOWN = "select count(*), min(scored_at), max(scored_at) from sentiment.scored_tweets"


def cpu() -> float:
    """Processor seconds of this process; PostgreSQL's own are not in it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def bare_copy(home: Home, engine: sqlalchemy.Engine) -> dict[str, float]:
    """The peer."""
    began, used = time.perf_counter(), cpu()
    with reader(home) as snapshot, engine.begin() as connection:
        source = published_tables(snapshot, None)["scored_tweets"]
        columns = [sqlalchemy.Column(column.name, column.type) for column in source.columns]
        table = sqlalchemy.Table("bare_copy", sqlalchemy.MetaData(), *columns)
        table.create(connection)
        for batch in snapshot.connection.execute("from scored_tweets").to_arrow_reader(200_000):
            write_rows(connection, table, pl.DataFrame(batch))
    return {"seconds": time.perf_counter() - began, "cpu_seconds": cpu() - used}


def ours(home: Home, address: str) -> dict[str, Any]:
    """One publication."""
    publish(home)
    began, used = time.perf_counter(), cpu()
    report = publish_to(home, address)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": cpu() - used,
        "rows_by_tweet": report.count_written,
        "tables_replaced": report.replaced,
    }


class Readers(threading.Thread):
    """Asks without pause what is shown, and keeps every answer that differs from the one before."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        super().__init__(daemon=True)
        self.engine, self.seen, self.count, self.ended = engine, [shown(engine)], 0, threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            now = shown(self.engine)
            self.count += 1
            if now != self.seen[-1]:
                self.seen.append(now)


def shown(engine: sqlalchemy.Engine) -> tuple[Any, ...]:
    """How many scored tweets a reader sees, and between which times they were scored."""
    with engine.connect() as connection:
        return tuple(connection.execute(sqlalchemy.text(SHOWN)).one())


def killed(home: Home, address: str, engine: sqlalchemy.Engine) -> dict[str, Any]:
    """Kill a publication of all rows on its way, and again while it takes over; then let it end."""
    publish(home)
    readers = Readers(engine)
    readers.start()
    before = readers.seen[0]
    for moment in (uploading, taking_over):
        process = multiprocessing.get_context("spawn").Process(target=publish_to, args=(home, address))
        process.start()
        while not moment(engine) and process.is_alive():
            time.sleep(0.05)
        assert process.is_alive(), "it had ended before it was killed"
        process.kill()
        process.join()
    unchanged = readers.seen == [before]
    again = ours(home, address)
    readers.ended.set()
    readers.join()
    after = shown(engine)
    return {
        **again,
        "readers_looked": readers.count,
        "readers_saw_only_old_or_new": unchanged and set(readers.seen) <= {before, after} and before != after,
    }


def uploading(engine: sqlalchemy.Engine) -> bool:
    """Whether some rows have come into the staging table."""
    if not sqlalchemy.inspect(engine).has_table("staging_scored_tweets", SCHEMA):
        return False
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text(f"select exists (select from {SCHEMA}.staging_scored_tweets)"))
        return bool(found.scalar())


def taking_over(engine: sqlalchemy.Engine) -> bool:
    """Whether the one transaction is at its largest table."""
    with engine.connect() as connection:
        statement = f"insert into {SCHEMA}.scored_tweets%"
        query = "select exists (select from pg_stat_activity where state = 'active' and query ilike :statement)"
        return bool(connection.execute(sqlalchemy.text(query), {"statement": statement}).scalar())


def main() -> None:
    """Run all and print figures."""
    os.environ["PGPASSWORD"] = PASSWORD
    with scored_home() as home, postgresql_server() as address:
        engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.pool.NullPool)
        publish(home)
        result: dict[str, Any] = {"bare_copy": bare_copy(home, engine), "first": ours(home, address)}
        result["nothing_new"] = ours(home, address)
        more = home.root / "more.csv"
        write_sample(more, MORE_ROWS, seed=1, labelled=False, span=Span(first_id=9_000_000_000))
        for words in (("ingest", str(more)), ("score",)):
            run(*words, home=home.root)
        result["more_tweets"] = ours(home, address)
        with writer(home) as warehouse:
            warehouse.connection.execute("update predictions set scored_at = now()")
        result["all_changed_and_killed_twice"] = killed(home, address, engine)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    target = Path(__file__).with_name("results") / "publish.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
