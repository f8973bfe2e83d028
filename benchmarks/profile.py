"""The data profile against DuckDB's own `summarize`, and every question in `sql/queries/`: `python -m benchmarks.profile`.

The peer gives minimum, maximum, distinct values and nulls of each column and looks into no text. Each query runs three times
on the published snapshot; the quickest counts, since others may use the machine. Nothing in the home of `SENTIMENT_HOME` is
changed; without one, the tweets are scored first.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.data import scored_home
from sentiment.monitoring.profile import keep, measure, write_page
from sentiment.warehouse.connection import reader
from sentiment.warehouse.session import Warehouse
from sentiment.warehouse.snapshot import publish

QUERIES = Path(__file__).parents[1] / "sql" / "queries"


def cpu() -> float:
    """Processor seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def seconds_of(snapshot: Warehouse, query: Path) -> float:
    """The quickest of three runs of a query."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        snapshot.connection.execute(query.read_text()).fetchall()
        took.append(time.perf_counter() - began)
    return round(min(took), 3)


def main() -> None:
    """Run both and print figures."""
    with scored_home() as home:
        publish(home)
        began, used = time.perf_counter(), cpu()
        with reader(home) as snapshot:
            snapshot.connection.execute("summarize tweets").fetchall()
        peer = {"seconds": time.perf_counter() - began, "cpu_seconds": cpu() - used}
        began, used = time.perf_counter(), cpu()
        figures = measure(home)
        with tempfile.TemporaryDirectory() as folder:
            write_page(Path(folder) / "profile.html", figures)
        ours = {"seconds": time.perf_counter() - began, "cpu_seconds": cpu() - used, "figures": len(figures.frame)}
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        keep(home, figures)
        publish(home)
        with reader(home) as snapshot:
            queries = {path.stem: seconds_of(snapshot, path) for path in sorted(QUERIES.glob("*.sql"))}
    result: dict[str, Any] = {
        "tweets": figures.value("rows", "tweets", "count_rows"),
        "summarize": peer,
        "profile": ours,
        "peak_mb": peak_mb,
        "slowest_query_seconds": max(queries.values()),
        "query_seconds": queries,
    }
    target = Path(__file__).with_name("results") / "profile.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
