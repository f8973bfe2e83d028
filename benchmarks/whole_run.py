"""A whole `sentiment run` on all tweets, here and in another checkout: `python -m benchmarks.whole_run CHECKOUT`.

The two take turns, each time with a fresh home; the other checkout needs its own `.venv`. Seconds are those of the command, its start
and end included. Processor seconds are of its whole process tree, memory of the largest process in it. Ratios are of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.data import training_csv

HERE = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results") / "whole_run.json"


def run_once(checkout: Path, path: Path) -> dict[str, float]:
    """Seconds, processor seconds, memory in MB and accuracy on the hold-out of one run."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        began = time.perf_counter()
        done = subprocess.run(
            [checkout / ".venv" / "bin" / "sentiment", "run", str(path), "--json"],
            cwd=checkout,
            env=os.environ | {"SENTIMENT_HOME": str(Path(folder) / "home")},
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    accuracy = json.loads(done.stdout)["retrain"]["trained"]["holdout"]["accuracy"]
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "memory_mb": round(used.ru_maxrss / 1024),
        "accuracy": round(accuracy, 4),
    }


def measure(checkout: Path, path: Path) -> dict[str, float]:
    """`run_once` in a process of its own, whose children are those of this run alone."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(run_once, (checkout, path))


def main() -> None:
    """Take turns, and write the figures and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path, help="another checkout with its own .venv")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    checkouts = {"here": HERE, "other": options.checkout.resolve()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
    with training_csv() as path:
        for _ in range(options.rounds):
            for name, checkout in checkouts.items():
                found[name].append(measure(checkout, path))
                print(name, found[name][-1], flush=True)
    ratios = {key: _median(found["here"], key) / _median(found["other"], key) for key in found["here"][0]}
    result: dict[str, Any] = {**found, "ratios": {key: round(value, 3) for key, value in ratios.items()}}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["ratios"], indent=2))


def _median(rows: list[dict[str, float]], key: str) -> float:
    return statistics.median(row[key] for row in rows)


if __name__ == "__main__":
    main()
