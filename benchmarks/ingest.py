"""Ingest against DuckDB's own CSV reader, in one run: `python -m benchmarks.ingest`.

The peer gets the file decoded already, keeps rejected lines in a side table and does nothing else: no entities, no
duplicates, no text keys. Both write to a new file on the same disk; each run is a process of its own, in turn.
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


def main() -> None:
    """Run both in turn and print medians and the ratio of each pair."""
    if len(sys.argv) > 1:
        what, path, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
        found = {"read_csv": read_csv, "ingest": ingest}[what](path, folder)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found | {"peak_mb": peak_mb}))
        return
    with training_csv() as path:
        decoded = path.with_name("decoded.csv")
        decoded.write_text(path.read_bytes().decode("latin-1"), newline="")
        pairs = []
        for _ in range(RUNS):
            pair: dict[str, Any] = {}
            for what, source in (("read_csv", decoded), ("ingest", path)):
                with tempfile.TemporaryDirectory(dir=path.parent) as home:
                    command = [sys.executable, "-m", "benchmarks.ingest", what, str(source), home]
                    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
                    pair[what] = json.loads(done.stdout)
            pair["ratio"] = pair["ingest"]["seconds"] / pair["read_csv"]["seconds"]
            print(json.dumps(pair), file=sys.stderr)
            pairs.append(pair)
    result = {
        "ratio": statistics.median(pair["ratio"] for pair in pairs),
        "read_csv_seconds": statistics.median(pair["read_csv"]["seconds"] for pair in pairs),
        "ingest_seconds": statistics.median(pair["ingest"]["seconds"] for pair in pairs),
        "again_seconds": statistics.median(pair["ingest"]["again_seconds"] for pair in pairs),
        "ingest_peak_mb": max(pair["ingest"]["peak_mb"] for pair in pairs),
        "counts": {key: pairs[0]["ingest"][key] for key in ("lines", "loaded", "duplicate", "rejected")},
    }
    target = Path(__file__).with_name("results") / "ingest.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
