"""What a run costs as the tables grow, and where shards are predicted: `python -m benchmarks.scale FILE [--workers-only]`.

Cost: a home is filled with copies of a file's tweets under growing ids, with the predictions of version 1 for all of them. Then,
three times each: nothing is new; 100,000 tweets are new, which are scored by version 1 and published. Seconds and processor
seconds, at 1.6, 8 and 32 million tweets. Scoring runs in this process with the registered model, so it is the same work each time.

Workers: from table to table, with start and loading, in this process, in two processes, and on a Dask cluster of two workers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.data import run
from sentiment.registry.client import Registry
from sentiment.scoring.score import score
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.snapshot import publish

SIZES = (1_600_000, 8_000_000, 32_000_000)
NEW_ROWS = 100_000
ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results") / "scale.json"


def measured(work: Callable[[], Any]) -> dict[str, float]:
    """Seconds, and processor seconds of this process and the children that it waited for."""
    started, used = time.perf_counter(), _cpu()
    work()
    return {"seconds": round(time.perf_counter() - started, 3), "cpu_seconds": round(_cpu() - used, 3)}


def _cpu() -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


def fill(home: Home, count: int, *, is_scored: bool) -> None:
    """Copies of the tweets that are there, with new ids, until there are `count`."""
    with writer(home) as warehouse:
        execute = warehouse.connection.execute
        execute("set threads = 1")
        execute(
            "create temp table source as select row_number() over () as place, * from tweets order by change_number"
        )
        there = execute("select count(*) from source").fetchone()
        assert there is not None
        for start in range(there[0], count, there[0]):
            execute(
                "insert into tweets by name select * exclude (place, change_number) "
                "replace (2500000000 + $start + place as tweet_id) from source where place <= $rows",
                {"start": start, "rows": count - start},
            )
        if is_scored:
            execute("truncate predictions")
            execute("truncate scored_ranges")
            execute(
                "insert into predictions by name select tweet_id, 1 as model_version, 0.75 as probability_positive, "
                "'positive' as label, now() as scored_at, 'filled' as run_id from tweets order by change_number"
            )
            execute(
                "insert into scored_ranges select 1, 1, max(change_number) + 1, count(*), 'filled', now() from tweets"
            )


def cost(home: Home, registry: Registry, count: int) -> dict[str, Any]:
    """Of nothing to do, of new tweets, and of publishing them."""
    fill(home, count, is_scored=True)
    for _ in range(home.settings.keep_snapshots):
        publish(home, afresh=True)
    nothing, new, published = [], [], []
    for _ in range(3):
        nothing.append(measured(lambda: score(home, registry, run_id="nothing")))
        with writer(home) as warehouse:
            warehouse.connection.execute(
                "insert into tweets by name select * exclude (change_number) replace "
                "((select max(tweet_id) from tweets) + row_number() over () as tweet_id) from tweets "
                f"where change_number <= {NEW_ROWS}"
            )
        new.append(measured(lambda: score(home, registry, run_id="new")))
        published.append(measured(lambda: publish(home)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"nothing_new": nothing, "new_100000": new, "publish": published, "peak_memory_mb": peak}


@contextmanager
def dask_workers(count: int) -> Iterator[str]:
    """A scheduler with so many workers on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    environment = os.environ | {"DASK_CONFIG": str(ROOT / "deployments" / "dask.yaml"), "PYTHONPATH": str(ROOT)}
    port = address.rpartition(":")[2]
    with tempfile.TemporaryDirectory() as folder:
        commands = [["dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"]]
        options = ["--nworkers", str(count), "--nthreads", "1", "--no-dashboard", "--local-directory", folder]
        commands += [["dask_worker", address, *options]]
        running = [
            subprocess.Popen([sys.executable, "-m", f"distributed.cli.{name}", *rest], env=environment, cwd=folder)
            for name, *rest in commands
        ]
        try:
            time.sleep(10)
            yield address
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait()


def workers(home: Home, registry: Registry) -> dict[str, Any]:
    """Tweets a second from table to table, each way twice in turn."""
    found: dict[str, list[dict[str, float]]] = {"this process": [], "two processes": [], "dask, two workers": []}
    for _ in range(2):
        for name, settings in (("this process", {}), ("two processes", {"scoring_processes": 2})):
            found[name].append(_rescore(home, registry, settings))
        with dask_workers(2) as address:
            found["dask, two workers"].append(_rescore(home, registry, {"scheduler": address}))
    return found


def _rescore(home: Home, registry: Registry, settings: dict[str, Any]) -> dict[str, float]:
    with writer(home) as warehouse:
        warehouse.connection.execute("truncate predictions")
        warehouse.connection.execute("truncate scored_ranges")
    at_work = dataclasses.replace(home, settings=home.settings.model_copy(update=settings))
    counts: list[int] = []
    taken = measured(lambda: counts.append(score(at_work, registry, run_id="r").count_scored))
    return taken | {"tweets": counts[0], "tweets_a_second": round(counts[0] / taken["seconds"])}


def main() -> None:
    """Measure, and write benchmarks/results/scale.json."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="tweets in the Sentiment140 format")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        run("run", str(options.file), "--rows", "20000", home=home.root)
        for size in options.sizes:
            grown = Home(Path(folder) / f"home-{size}")
            shutil.copytree(home.root, grown.root, symlinks=True)
            registry = Registry(grown)
            if size == min(SIZES):
                fill(grown, size, is_scored=False)
                results["workers"] = workers(grown, registry)
            results[f"cost at {size}"] = cost(grown, registry, size)
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")
            shutil.rmtree(grown.root)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
