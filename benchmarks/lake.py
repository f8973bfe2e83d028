"""Publishing to a Delta table and to Parquet files by day, killed twice: `python -m benchmarks.lake`.

All tweets go out; then nothing is new; then 16,000 tweets of one day are; then all rows change, and the publication is killed
twice while somebody reads, at its first file and a moment later, before it may end. At the end polars, DuckDB and, for the Delta table,
deltalake have to read what the snapshot shows. The tweets are those of the home in `SENTIMENT_HOME`, of which a copy is changed;
without one, they are scored first.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import polars as pl

from benchmarks.data import scored_home
from sentiment.publish import publish_to
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.query import query
from sentiment.warehouse.snapshot import publish

MORE_ROWS = 16_000
RESULTS = Path(__file__).with_name("results") / "lake.json"
Count = Callable[[], int]


def sent(home: Home, address: str) -> dict[str, Any]:
    """One publication."""
    started, used = time.perf_counter(), cpu_seconds()
    report = publish_to(home, address)
    return {
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(cpu_seconds() - used, 2),
        "rows": report.count_written,
    }


def cpu_seconds() -> float:
    """Processor seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Reader(threading.Thread):
    """Counts the rows without pause; keeps the counts that it read, and how often a read failed, by error."""

    def __init__(self, count: Count) -> None:
        super().__init__(daemon=True)
        self.count, self.ended, self.looks = count, threading.Event(), 0
        self.counts: set[int] = set()
        self.errors: Counter[str] = Counter()

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self.counts.add(self.count())
            except BaseException as error:  # polars' panics are no Exception
                self.errors[type(error).__name__] += 1
            self.looks += 1


def killed_twice(home: Home, address: str, folder: Path, count: Count) -> dict[str, Any]:
    """Kill a publication of all rows at its first file, and again a moment later; then let it end."""
    reader = Reader(count)
    reader.start()
    for wait in (0.0, 0.3):
        before = files_of(folder)
        process = multiprocessing.get_context("spawn").Process(target=publish_to, args=(home, address))
        process.start()
        while files_of(folder) == before and process.is_alive():
            time.sleep(0.01)
        time.sleep(wait)
        assert process.is_alive(), "it had ended before it was killed"
        process.kill()
        process.join()
    ended = sent(home, address)
    reader.ended.set()
    reader.join()
    return {**ended, "reads": reader.looks, "failed_reads": dict(reader.errors), "counts_read": sorted(reader.counts)}


def files_of(folder: Path) -> set[tuple[str, int]]:
    """Names and inodes of all files in a folder and of those that are being written next to it, without locks."""
    found = [path for path in folder.parent.rglob("*") if path.suffix != ".lock"]
    return {(str(path), path.lstat().st_ino) for path in found if path.is_file()}


def add_tweets(home: Home, rows: int) -> None:
    """Copies of the last tweets with new ids, with their predictions, published."""
    with writer(home) as warehouse:
        execute = warehouse.connection.execute
        (greatest,) = execute("select max(tweet_id) from tweets").fetchone() or (0,)
        execute(
            "insert into tweets by name select * exclude (change_number) replace ($greatest + row_number() over () as tweet_id, "
            "(select max(posted_at) from tweets) as posted_at) from tweets limit $rows",
            {"greatest": greatest, "rows": rows},
        )
        execute(
            "insert into predictions by name select tweet_id, (select model_version from published_model) as model_version, "
            "0.75 as probability_positive, 'positive' as label, now() as scored_at, 'more' as run_id "
            "from tweets where tweet_id > $greatest",
            {"greatest": greatest},
        )
    publish(home)


def measured(home: Home, kind: str, folder: Path) -> dict[str, Any]:
    """All publications to one kind of table, and whether every reader sees what the snapshot shows."""
    address, readers = f"{kind}://{folder}", readers_of(kind, folder)
    found = {"first": sent(home, address), "nothing_new": sent(home, address)}
    add_tweets(home, MORE_ROWS)
    found["more_tweets"] = sent(home, address)
    with writer(home) as warehouse:
        warehouse.connection.execute("update predictions set scored_at = now()")
    publish(home)
    count = readers["polars"]
    found["killed_twice"] = killed_twice(home, address, folder, lambda: count().select(pl.len()).collect().item())
    expected = digest(query(home, "select tweet_id, label, scored_at from scored_tweets").lazy())
    found["reads_as_published"] = {name: digest(read()) == expected for name, read in readers.items()}
    return found


def readers_of(kind: str, folder: Path) -> dict[str, Callable[[], pl.LazyFrame]]:
    """How others read the table."""
    if kind == "parquet":
        files = f"from read_parquet('{folder}/*/*.parquet', hive_partitioning = true)"
        return {"polars": lambda: pl.scan_parquet(folder), "duckdb": lambda: duckdb.sql(files).pl().lazy()}

    def by_duckdb() -> pl.LazyFrame:
        rows = deltalake.DeltaTable(folder).to_pyarrow_dataset()  # noqa: F841 - DuckDB finds it by its name
        return duckdb.sql("from rows").pl().lazy()

    def by_deltalake() -> pl.LazyFrame:
        found = deltalake.QueryBuilder().register("rows", deltalake.DeltaTable(folder)).execute("select * from rows")
        return pl.DataFrame(found.read_all()).lazy()

    return {"polars": lambda: pl.scan_delta(str(folder)), "duckdb": by_duckdb, "deltalake": by_deltalake}


def digest(rows: pl.LazyFrame) -> tuple[int, ...]:
    """Rows as numbers that do not depend on their order."""
    positive = (pl.col("label") == "positive").sum()
    return (
        rows.select(pl.len(), pl.col("tweet_id").sum(), positive, pl.col("scored_at").dt.epoch("us").sum())
        .collect()
        .row(0)
    )


def main() -> None:
    """Measure, and write benchmarks/results/lake.json."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    with scored_home() as home:
        publish(home)
        kinds = ("delta", "parquet")
        results: dict[str, Any] = {kind: measured(home, kind, home.root / kind / "scored_tweets") for kind in kinds}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
