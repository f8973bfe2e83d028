"""The whole loop on the whole file, from an empty home to published scores: `python -m benchmarks.loop`.

Seconds are those of the command, its own start included; memory is the largest process of its tree.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.data import REAL_GOLD, run, training_csv


def main() -> None:
    """Run it once and print what came out."""
    with training_csv() as path, tempfile.TemporaryDirectory(dir=path.parent) as folder:
        home = Path(folder) / "home"
        if REAL_GOLD.exists():
            run("ingest", "--gold", "manual", str(REAL_GOLD), home=home)
        began = time.perf_counter()
        run("run", str(path), "--json", home=home)
        seconds = time.perf_counter() - began
        again = time.perf_counter()
        run("score", "--json", home=home)
        again = time.perf_counter() - again
        snapshot = (home / "published" / "sentiment.duckdb").resolve()
        with duckdb.connect(str(snapshot), read_only=True) as connection:
            curve = connection.sql(
                "select evaluation_set, count_rows, accuracy, lower, upper from learning_curve"
            ).fetchall()
            counts = connection.sql(
                "select (select count(*) from tweets), (select count(*) from scored_tweets)"
            ).fetchone()
            parts = connection.sql(
                "select flow, seconds, count_rows, peak_memory_mb from runs order by finished_at"
            ).fetchall()
    assert counts is not None
    result = {
        "seconds": round(seconds, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "score_again_seconds": round(again, 1),
        "tweets": counts[0],
        "scored_tweets": counts[1],
        "accuracy": [dict(zip(("set", "rows", "accuracy", "lower", "upper"), row, strict=True)) for row in curve],
        "parts": [dict(zip(("flow", "seconds", "rows", "peak_mb"), row, strict=True)) for row in parts],
    }
    target = Path(__file__).with_name("results") / "loop.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2), file=sys.stdout)


if __name__ == "__main__":
    main()
