"""The whole loop on the whole file, from an empty home to published scores: `python -m benchmarks.loop`.

Then what happens every day: nothing new to score, 16,000 more tweets, and a model that is not better. Seconds are those of
the command, its own start included; memory is the largest process of its tree.
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
from sentiment.sample import Span, write_sample

MORE_ROWS = 16_000


def what_people_read(home: Path) -> tuple[object, ...]:
    """Digest of the scored tweets, and who was champion when."""
    with duckdb.connect(str((home / "published" / "sentiment.duckdb").resolve()), read_only=True) as connection:
        scored = connection.sql("select count(*), bit_xor(hash(scored_tweets)) from scored_tweets").fetchone()
        return scored, connection.sql("from alias_history order by changed_at").fetchall()


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
        repeated = json.loads(run("score", "--json", home=home).stdout)
        again = time.perf_counter() - again
        more = Path(folder) / "more.csv"
        write_sample(more, MORE_ROWS, seed=1, labelled=False, span=Span(first_id=9_000_000_000))
        loaded = json.loads(run("ingest", str(more), "--json", home=home).stdout)["files"][0]["count_loaded"]
        scored = json.loads(run("score", "--json", home=home).stdout)
        before = what_people_read(home)
        refused = json.loads(run("retrain", "--rows", "5000", "--json", home=home).stdout)
        what_people_read_after = what_people_read(home)
        snapshot = (home / "published" / "sentiment.duckdb").resolve()
        with duckdb.connect(str(snapshot), read_only=True) as connection:
            curve = connection.sql(
                "select evaluation_set, count_rows, accuracy, lower, upper from learning_curve where model_version = 1"
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
        "scored_again": repeated["count_scored"],
        "more_tweets": {"loaded": loaded, "scored": scored["count_scored"], "seconds": scored["seconds"]},
        "refused": {
            "passed": refused["passed"],
            "failed": [check["check_name"] for check in refused["verdict"]["checks"] if not check["passed"]],
            "what_people_read_is_unchanged": what_people_read_after == before,
        },
        "accuracy": [dict(zip(("set", "rows", "accuracy", "lower", "upper"), row, strict=True)) for row in curve],
        "parts": [dict(zip(("flow", "seconds", "rows", "peak_mb"), row, strict=True)) for row in parts],
    }
    target = Path(__file__).with_name("results") / "loop.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2), file=sys.stdout)


if __name__ == "__main__":
    main()
