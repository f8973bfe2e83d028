"""Ingest against DuckDB's own CSV reader and the version before, in one run: `python -m benchmarks.ingest [CHECKOUT]`.

CHECKOUT is a checkout of the version before; without it, only the CSV reader is the peer.

The peer gets the file decoded already, keeps rejected lines in a side table and does nothing else: no entities, no
duplicates, no text keys. Both write to a new file on the same disk; each run is a process of its own, in turn. Then a
million rows of other columns and other names, as CSV, TSV, NDJSON and Parquet.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.data import training_csv

RUNS = 3
MAPPED_ROWS = 1_000_000


def read_csv(decoded: Path, folder: Path) -> dict[str, float]:
    """The peer."""
    import duckdb

    began = time.perf_counter()
    connection = duckdb.connect(str(folder / "peer.duckdb"))
    connection.execute("set enable_progress_bar = false")
    connection.execute(
        "create table tweets as select * from read_csv($1, header = false, store_rejects = true, columns = {"
        "'target': 'tinyint', 'id': 'bigint', 'date': 'varchar', 'flag': 'varchar', 'user': 'varchar', 'text': 'varchar'})",
        [str(decoded)],
    )
    connection.close()
    return {"seconds": time.perf_counter() - began}


def ingest(path: Path, folder: Path) -> dict[str, float]:
    """Ours: the first time, and the same file again."""
    from sentiment.ingest.load import ingest_file
    from sentiment.settings import Home

    home = Home(folder / "home").create()
    began = time.perf_counter()
    report = ingest_file(home, path)
    seconds = time.perf_counter() - began
    again = ingest_file(home, path)
    counts = {"lines": report.count_lines, "loaded": report.count_loaded, "duplicate": report.count_duplicate}
    return {"seconds": seconds, "again_seconds": again.seconds, "rejected": report.count_rejected, **counts}


# The version before has other modules; both are tried, so that any checkout can be given.
BEFORE = """
import json, resource, sys, time
from pathlib import Path
from sentiment.settings import Home, Settings
try:
    from sentiment.ingest.load import ingest_file
except ImportError:
    from sentiment.ingest import ingest_file
home = Home(Path(sys.argv[2]) / "home").create()
began = time.perf_counter()
try:
    ingest_file(home, Path(sys.argv[1]))
except TypeError:
    began = time.perf_counter()
    ingest_file(home, Settings(home=home.root), Path(sys.argv[1]))
seconds = time.perf_counter() - began
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "cpu_seconds": time.process_time(), "peak_mb": peak_mb}))
"""


def inspect(path: Path, folder: Path) -> dict[str, float]:
    """A look at the whole file, nothing loaded."""
    from sentiment.ingest.inspection import inspect_file

    return {"seconds": inspect_file(path).seconds}


def write_mapped(decoded: Path, folder: Path) -> dict[str, Path]:
    """The same rows in four formats, under names that have to be mapped."""
    import polars as pl

    rows = (
        pl.read_csv(decoded, has_header=False, new_columns=["target", "id", "date", "flag", "user", "text"])
        .sample(MAPPED_ROWS, seed=1)
        .select(
            review_id=pl.int_range(pl.len()).cast(pl.String) + "-a",
            author="user",
            posted=pl.lit("2024-02-03T10:11:12Z"),
            body="text",
            sentiment=pl.when(pl.col("target") == 0).then(pl.lit("Negative")).otherwise(pl.lit("Positive")),
        )
    )
    paths = {kind: folder / f"mapped.{kind}" for kind in ("csv", "tsv", "ndjson", "parquet")}
    rows.write_csv(paths["csv"])
    rows.write_csv(paths["tsv"], separator="\t")
    rows.write_ndjson(paths["ndjson"])
    rows.write_parquet(paths["parquet"])
    return paths


def measure(what: str, source: Path) -> dict[str, Any]:
    """One run in a process and a folder of its own."""
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        command = [sys.executable, "-m", "benchmarks.ingest", what, str(source), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run both in turn and print medians and the ratio of each pair."""
    if len(sys.argv) > 3:
        what, path, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
        found = {"read_csv": read_csv, "ingest": ingest, "inspect": inspect}[what](path, folder)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found | {"cpu_seconds": time.process_time(), "peak_mb": peak_mb}))
        return
    before = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    with training_csv() as path:
        decoded = path.with_name("decoded.csv")
        decoded.write_text(path.read_bytes().decode("latin-1"), newline="")
        pairs = []
        for _ in range(RUNS):
            pair: dict[str, Any] = {}
            for what, source in (("read_csv", decoded), ("ingest", path), ("inspect", path)):
                pair[what] = measure(what, source)
            if before is not None:
                with tempfile.TemporaryDirectory(dir=path.parent) as name:
                    command = [sys.executable, "-c", BEFORE, str(path), name]
                    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=before)
                    pair["before"] = json.loads(done.stdout)
            pair["ratio"] = pair["ingest"]["seconds"] / pair["read_csv"]["seconds"]
            print(json.dumps(pair), file=sys.stderr)
            pairs.append(pair)
        mapped = {kind: measure("ingest", file) for kind, file in write_mapped(decoded, path.parent).items()}
    result = {
        "ratio": statistics.median(pair["ratio"] for pair in pairs),
        "read_csv_seconds": statistics.median(pair["read_csv"]["seconds"] for pair in pairs),
        "ingest_seconds": statistics.median(pair["ingest"]["seconds"] for pair in pairs),
        "again_seconds": statistics.median(pair["ingest"]["again_seconds"] for pair in pairs),
        "inspect_seconds": statistics.median(pair["inspect"]["seconds"] for pair in pairs),
        "cpu_seconds": {
            what: statistics.median(pair[what]["cpu_seconds"] for pair in pairs)
            for what in ("read_csv", "ingest", "before", "inspect")
            if what in pairs[0]
        },
        "before_seconds": statistics.median(pair["before"]["seconds"] for pair in pairs) if before else None,
        "ingest_peak_mb": max(pair["ingest"]["peak_mb"] for pair in pairs),
        "mapped_rows_a_second": {kind: round(run["loaded"] / run["seconds"]) for kind, run in mapped.items()},
        "mapped_peak_mb": {kind: run["peak_mb"] for kind, run in mapped.items()},
        "counts": {key: pairs[0]["ingest"][key] for key in ("lines", "loaded", "duplicate", "rejected")},
    }
    target = Path(__file__).with_name("results") / "ingest.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
