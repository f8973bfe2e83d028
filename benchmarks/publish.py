"""Publishing to PostgreSQL against its own COPY: `SENTIMENT_HOME=… python -m benchmarks.publish postgresql+psycopg://user@host/db`.

The home holds scored tweets (`sentiment run`), the database is empty; both are changed. The peer copies the same rows into
a bare table, without key, staging or comparison: the least that can be done. Then 1 % of the tweets change, and then all do.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

import polars as pl
import sqlalchemy

from sentiment.databases import publish_to
from sentiment.databases.rows import write_rows
from sentiment.databases.tables import published_tables
from sentiment.publishing import publish
from sentiment.settings import Home, Settings
from sentiment.warehouse import reader, writer


def cpu() -> float:
    """Processor seconds of this process; PostgreSQL's own are not in it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def bare_copy(home: Home, address: str) -> dict[str, float]:
    """The peer."""
    engine = sqlalchemy.create_engine(address)
    began, used = time.perf_counter(), cpu()
    with reader(home) as snapshot, engine.begin() as connection:
        source = published_tables(snapshot, None)["scored_tweets"]
        columns = [sqlalchemy.Column(column.name, column.type) for column in source.columns]
        table = sqlalchemy.Table("bare_copy", sqlalchemy.MetaData(), *columns)
        table.drop(connection, checkfirst=True)
        table.create(connection)
        for batch in snapshot.connection.execute("from scored_tweets").to_arrow_reader(200_000):
            write_rows(connection, table, pl.DataFrame(batch))
    return {"seconds": time.perf_counter() - began, "cpu_seconds": cpu() - used}


def ours(home: Home, settings: Settings, address: str) -> dict[str, float]:
    """One publication."""
    publish(home, settings)
    began, used = time.perf_counter(), cpu()
    report = publish_to(home, settings, address)
    return {"seconds": time.perf_counter() - began, "cpu_seconds": cpu() - used, "rows": report.count_written}


def main() -> None:
    """Run both and print figures."""
    address, home, settings = sys.argv[1], Home(Path(os.environ["SENTIMENT_HOME"]).absolute()), Settings()
    publish(home, settings)
    result: dict[str, object] = {"bare_copy": bare_copy(home, address), "first": ours(home, settings, address)}
    result["nothing_new"] = ours(home, settings, address)
    changes = {
        "one_percent_changed": "update predictions set scored_at = now() where tweet_id % 100 = 0",
        "all_changed": "update predictions set scored_at = now()",
    }
    for name, statement in changes.items():
        with writer(home, settings) as warehouse:
            warehouse.connection.execute(statement)
        result[name] = ours(home, settings, address)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    target = Path(__file__).with_name("results") / "publish.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
