"""What a run costs as the tables grow, and where shards are predicted: `python -m benchmarks.scale FILE [--sizes N ...]`.

Workers: at the least size, from table to table with start and loading, in this process, in two processes, and on a Dask cluster of
two workers that has been started before; and from shards to predictions alone, in a plain pool of two processes that have the model.
`--workers-only` leaves out all that follows.

Cost: the home is filled with copies of the file's tweets under growing ids, with predictions of version 1 for all of them. At each
size, three times in turn: nothing is new; 100,000 tweets are new, which version 1 scores; they are published. At the end, this
process scores everything from nothing.

Processor seconds are of all processes that take part. Read them rather than the others, unless the machine does nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.data import run
from sentiment.registry.client import Registry
from sentiment.scoring.executors import use_one_thread
from sentiment.scoring.score import score
from sentiment.scoring.store import ShardStore
from sentiment.scoring.worker import ShardTask, describe_model, predict_shard, versions
from sentiment.scoring.workers import ONE_THREAD_ROWS
from sentiment.settings import Home
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.snapshot import publish
from tests.dask_cluster import DaskCluster

SIZES = (1_600_000, 8_000_000, 32_000_000)
NEW_ROWS = SHARD_ROWS = 100_000
RESULTS = Path(__file__).with_name("results") / "scale.json"


def measured(work: Callable[[], Any], cluster: DaskCluster | None = None) -> dict[str, float]:
    """Seconds, and processor seconds of this process, the children that it waited for, and a cluster."""
    started, used = time.perf_counter(), _cpu_seconds(cluster)
    work()
    return {
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(_cpu_seconds(cluster) - used, 2),
    }


def _cpu_seconds(cluster: DaskCluster | None) -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = sum(usage.ru_utime + usage.ru_stime for usage in found)
    return own + (cluster.cpu_seconds() if cluster else 0.0)


def fill(home: Home, count: int) -> None:
    """Copies of the tweets that are there, with new ids and predictions, until there are `count`."""
    with writer(home) as warehouse:
        execute = warehouse.connection.execute
        # Rows stay in order of their ids, as in a warehouse that has grown by files.
        execute("set threads = 1")
        execute(
            "create temp table source as select row_number() over () as place, * exclude (change_number) from tweets"
        )
        there, first = execute("select count(*), max(change_number) + 1 from tweets").fetchone() or (0, 0)
        for start in range(there, count, there):
            execute(
                "insert into tweets by name select * exclude (place) replace (2500000000 + $start + place as tweet_id) "
                "from source where place <= $rows",
                {"start": start, "rows": count - start},
            )
        execute(
            "insert into predictions by name select tweet_id, 1 as model_version, 0.75 as probability_positive, "
            "'positive' as label, now() as scored_at, 'filled' as run_id from tweets where change_number >= $first",
            {"first": first},
        )
        execute(
            "insert into scored_ranges select 1, $first, max(change_number) + 1, count(*), 'filled', now() from tweets "
            "where change_number >= $first having count(*) > 0",
            {"first": first},
        )


def cost(home: Home, registry: Registry) -> dict[str, Any]:
    """Of nothing to do, of new tweets, and of publishing them."""
    for _ in range(home.settings.keep_snapshots):
        publish(home, afresh=True)
    found: dict[str, list[dict[str, float]]] = {"nothing_new": [], "new_100000": [], "publish": []}
    for _ in range(3):
        found["nothing_new"].append(measured(lambda: score(home, registry, run_id="nothing")))
        with writer(home) as warehouse:
            warehouse.connection.execute(
                "insert into tweets by name select * exclude (change_number) replace "
                "((select max(tweet_id) from tweets) + row_number() over () as tweet_id) from tweets "
                f"where change_number <= {NEW_ROWS}"
            )
        found["new_100000"].append(measured(lambda: score(home, registry, run_id="new")))
        found["publish"].append(measured(lambda: publish(home)))
    return {**found, "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


@contextmanager
def two_workers() -> Iterator[DaskCluster]:
    """A Dask cluster that is ready."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = DaskCluster(Path(folder))
        try:
            for _ in range(2):
                cluster.start_worker()
            cluster.wait_for_workers(2)
            yield cluster
        finally:
            cluster.stop()


def timed(task: ShardTask) -> float:
    """Predict a shard; the processor seconds that it took this process."""
    used = time.process_time()
    predict_shard(task)
    return time.process_time() - used


def plain_pool(home: Home, registry: Registry) -> dict[str, float]:
    """The peer: the same function over shards that were written before, in two processes that have the model."""
    files = describe_model(registry.model_files(1))
    with tempfile.TemporaryDirectory() as folder:
        store, tasks = ShardStore(folder), []
        with reader(home) as snapshot:
            rows = snapshot.connection.execute("select tweet_id, change_number, text from tweets").to_arrow_reader(
                SHARD_ROWS
            )
            for number, batch in enumerate(rows):
                content = io.BytesIO()
                pl.DataFrame(batch).write_parquet(content, compression=store.compression)
                store.write(name := f"{number}.parquet", content.getvalue())
                digest = hashlib.sha256(content.getvalue()).hexdigest()
                tasks.append(ShardTask(folder, name, digest, files, ONE_THREAD_ROWS, 3, "cpu", versions()))
            count = snapshot.value("steps/warehouse/count_tweets")
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), initializer=use_one_thread) as pool:
            for future in [pool.submit(timed, task) for task in tasks[:2]]:
                future.result()
            for task in tasks[:2]:
                store.remove(task.output)
            started = time.perf_counter()
            used = sum(pool.map(timed, tasks))
            seconds = time.perf_counter() - started
    return rates(count, {"seconds": round(seconds, 2), "cpu_seconds": round(used, 2)})


def workers(home: Home, registry: Registry) -> dict[str, Any]:
    """Tweets a second, each way twice in turn."""
    publish(home)
    found: dict[str, list[dict[str, float]]] = {
        "plain pool of two": [],
        "this process": [],
        "two processes": [],
        "dask, two workers": [],
    }
    with two_workers() as cluster:
        for _ in range(2):
            found["plain pool of two"].append(plain_pool(home, registry))
            found["this process"].append(from_nothing(home, registry))
            found["two processes"].append(from_nothing(home, registry, {"scoring_processes": 2}))
            settings = {"scheduler": cluster.address}
            found["dask, two workers"].append(from_nothing(home, registry, settings, cluster))
    return found


def from_nothing(
    home: Home, registry: Registry, settings: dict[str, Any] | None = None, cluster: DaskCluster | None = None
) -> dict[str, float]:
    """Delete all predictions, and score everything."""
    with writer(home) as warehouse:
        warehouse.connection.execute("truncate predictions")
        warehouse.connection.execute("truncate scored_ranges")
    at_work = dataclasses.replace(home, settings=home.settings.model_copy(update=settings or {}))
    counts: list[int] = []
    taken = measured(lambda: counts.append(score(at_work, registry, run_id="r").count_scored), cluster)
    return rates(counts[0], taken)


def rates(count: int, taken: dict[str, float]) -> dict[str, float]:
    """What was measured, with tweets a second and processor time a tweet."""
    return taken | {
        "tweets": count,
        "tweets_a_second": round(count / taken["seconds"]),
        "cpu_microseconds_a_tweet": round(1e6 * taken["cpu_seconds"] / count, 2),
    }


def main() -> None:
    """Measure, and write benchmarks/results/scale.json; what is left out stays as it is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="tweets in the Sentiment140 format")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="tweets, in ascending order")
    parser.add_argument("--workers-only", action="store_true", help="leave out what a run costs as the tables grow")
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        run("run", str(options.file), "--rows", "20000", home=home.root)
        registry = Registry(home)
        for size in options.sizes:
            # In a process of its own, so that its memory is not in the peak.
            filling = multiprocessing.get_context("spawn").Process(target=fill, args=(home, size))
            filling.start()
            filling.join()
            assert filling.exitcode == 0
            if size == options.sizes[0]:
                results["workers"] = workers(home, registry)
            if options.workers_only:
                break
            results[f"cost at {size}"] = cost(home, registry)
            print(json.dumps(results[f"cost at {size}"]), flush=True)
        if not options.workers_only:
            results["from nothing"] = from_nothing(home, registry)
            results["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
