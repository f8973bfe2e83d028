"""Kill workers, scheduler, loader and flow while 48 shards are scored: `python -m simulations.shard_kills [ROUNDS]`.

Each round deletes the predictions and has a Dask cluster of two workers make them again. It is killed four times on the way, in random
order and at random moments, and what was killed is started again, as systemd or Kubernetes would:

- worker: the process that scores, whose nanny starts another one, or both, as when a machine is lost;
- scheduler: the run must end with a sentence;
- loader: the process that commits, during a commit;
- flow: the same process under Prefect, at any moment.

No tweet may ever have two predictions. At the end of each round they must equal those of one undisturbed process, and the checks in
`sql/checks` must pass. At the end the loader is killed once more; two days later housekeeping must remove what is left over.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks.data import run, subset_csv
from sentiment import clock
from sentiment.errors import SentimentError
from sentiment.maintenance.retention import keep_house
from sentiment.registry.client import Registry
from sentiment.scoring import score as scoring
from sentiment.settings import Home, Settings
from sentiment.warehouse.connection import writer
from tests.dask_cluster import DaskCluster, kill

ROUNDS, SHARDS, CHUNK_ROWS = 10, 48, 1_000
KINDS = ("worker", "scheduler", "loader", "flow")
MOST_COMMITS, MOST_AGAIN = 8, 5
"""Between two kills, so that the last one comes before the last shard; and how often a round may begin again if it does not."""
PREDICTIONS = (
    "select tweet_id, model_version, label, probability_positive, probability_neutral from predictions order by all"
)
TWICE = "select count(*) - count(distinct (tweet_id, model_version)) from predictions"
CHECKS = ("predictions_are_unique", "published_version_is_complete", "scored_ranges_hold")


@dataclass
class Cluster:
    """A Dask cluster whose processes are started again after a kill."""

    folder: Path
    dask: DaskCluster = field(init=False)

    def __post_init__(self) -> None:
        self.dask = DaskCluster(self.folder, {"TMPDIR": str(self.folder)})
        self.start_workers()

    def start_workers(self) -> None:
        """Start two."""
        for _ in range(2):
            self.dask.start_worker()

    def kill_worker(self, dice: random.Random) -> None:
        """Kill one, with its nanny or without."""
        nanny = dice.choice([worker for worker in self.dask.workers if worker.poll() is None])
        if dice.random() < 0.5:
            kill(nanny)
            self.dask.start_worker()
            return
        for process in psutil.Process(nanny.pid).children(recursive=True):
            process.kill()

    def kill_scheduler(self) -> None:
        """Kill it."""
        kill(self.dask.scheduler)

    def start_again(self) -> None:
        """Start the scheduler, and workers, which end when they lose theirs."""
        for worker in self.dask.workers:
            kill(worker)
        self.dask.workers.clear()
        self.dask.start_scheduler()
        self.start_workers()


def rows(home: Home, query: str) -> list[tuple[Any, ...]]:
    """What a query finds in the warehouse."""
    with writer(home) as warehouse:
        return warehouse.connection.execute(query).fetchall()


def score_alone(home: Home, chunk_rows: int) -> list[tuple[Any, ...]]:
    """What this process predicts, undisturbed, from nothing."""
    empty(home)
    scoring.score(home, Registry(home), run_id="undisturbed", chunk_rows=chunk_rows)
    return rows(home, PREDICTIONS)


def empty(home: Home) -> None:
    """Delete all predictions."""
    for table in ("predictions", "scored_ranges"):
        rows(home, f"truncate {table}")


def failed_checks(home: Home) -> list[str]:
    """Checks that find something."""
    with writer(home) as warehouse:
        return [name for name in CHECKS if warehouse.run(f"checks/{name}").fetchall()]


def start(kind: str, home: Home, address: str, chunk_rows: int) -> subprocess.Popen[str]:
    """Start a run that writes a line before each commit."""
    return subprocess.Popen(
        [sys.executable, "-m", "simulations.shard_kills", kind, str(home.root), address, str(chunk_rows)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def child(kind: str, root: str, address: str, chunk_rows: int) -> None:
    """Score on a cluster: as a Prefect flow, or by the library alone."""
    commit = scoring._Job._commit

    def announced(job: Any, *args: Any) -> int:
        print("commit", flush=True)
        return commit(job, *args)

    scoring._Job._commit = announced  # type: ignore[assignment, method-assign]
    if kind == "flow":
        from flows.cli.run import run_flow
        from flows.score import ScoreOptions
        from flows.score import score as flow

        os.environ["SENTIMENT_HOME"] = root
        run_flow(lambda server: server.run(flow, ScoreOptions(chunk_rows=chunk_rows, scheduler=address)))
        return
    home = Home(Path(root), Settings(scheduler=address))
    try:
        scoring.score(home, Registry(home), run_id="run", chunk_rows=chunk_rows)
    except SentimentError as error:
        sys.exit(str(error))


def wait_for(process: subprocess.Popen[str], kind: str, dice: random.Random) -> None:
    """Return at a random moment: during a commit for the loader, for others between commits too, for a flow also before."""
    assert process.stdout is not None
    commits = dice.randint(0 if kind == "flow" else 1, MOST_COMMITS)
    for _ in range(commits):
        process.stdout.readline()
    time.sleep(dice.uniform(0, 0.05 if kind == "loader" else 0.5 if commits else 5.0))


def disturbed_round(
    home: Home, cluster: Cluster, kinds: Sequence[str], dice: random.Random, chunk_rows: int
) -> dict[str, Any]:
    """Score everything from nothing, with one kill of each kind on the way."""
    empty(home)
    left, killed, count_twice, sentences, count_again = list(kinds), [], 0, [], 0
    while left:
        # A lost worker does not end a run, so the next kill may hit the same one.
        ending = next((kind for kind in left if kind != "worker"), "")
        process = start(ending, home, cluster.dask.address, chunk_rows)
        while left and process.poll() is None:
            kind = left.pop(0)
            wait_for(process, kind, dice)
            if process.poll() == 0 and count_again < MOST_AGAIN:
                # It was done before it could be killed: once more from nothing.
                count_again += 1
                left.insert(0, kind)
                empty(home)
                break
            killed.append({"kind": kind, "was_running": process.poll() is None})
            if kind == "worker":
                cluster.kill_worker(dice)
                continue
            if kind == "scheduler":
                cluster.kill_scheduler()
                sentences.append(process.communicate(timeout=120)[1].strip().rpartition("\n")[2])
                cluster.start_again()
            else:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            count_twice += rows(home, TWICE)[0][0]
            break
    if process.poll() is None:
        process.communicate(timeout=300)
    if process.returncode != 0:
        process = start("", home, cluster.dask.address, chunk_rows)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    return {
        "kills": killed,
        "predicted_twice": count_twice,
        "failed_checks": failed_checks(home),
        "sentences": sentences,
    }


def leftovers(home: Home) -> list[str]:
    """Files in the home that only a run at work needs."""
    folders = (home.work, home.published.parent)
    found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(home.root)) for path in found if not path.name.startswith("sentiment"))


def simulate(
    home: Home, folder: Path, kinds: Sequence[str] = KINDS, rounds: int = ROUNDS, chunk_rows: int = CHUNK_ROWS
) -> dict[str, Any]:
    """Kill and compare.

    Args:
        home: with a champion and tweets for 48 shards; its predictions are deleted.
        folder: where workers keep their files.
    """
    dice = random.Random(0)
    expected, outcomes = score_alone(home, chunk_rows), []
    cluster = Cluster(folder)
    try:
        for _ in range(rounds):
            began = time.perf_counter()
            outcome = disturbed_round(home, cluster, dice.sample(kinds, len(kinds)), dice, chunk_rows)
            outcome["equal"] = rows(home, PREDICTIONS) == expected
            outcome["seconds"] = round(time.perf_counter() - began, 1)
            outcomes.append(outcome)
            print(json.dumps(outcome), file=sys.stderr, flush=True)
        # Nobody goes on after the last kill.
        empty(home)
        process = start("loader", home, cluster.dask.address, chunk_rows)
        wait_for(process, "loader", dice)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    finally:
        cluster.dask.stop()
    left = leftovers(home)
    with clock.play(clock.now() + timedelta(days=2)):
        keep_house(home, Registry(home))
    kills = [kill["kind"] for outcome in outcomes for kill in outcome["kills"] if kill["was_running"]]
    return {
        "rounds": rounds,
        "shards": -(-len(expected) // chunk_rows),
        "kills": {kind: kills.count(kind) for kind in kinds},
        "rounds_equal": sum(outcome["equal"] for outcome in outcomes),
        "predicted_twice": sum(outcome["predicted_twice"] for outcome in outcomes),
        "failed_checks": sorted({name for outcome in outcomes for name in outcome["failed_checks"]}),
        "left_over": len(left),
        "left_over_after_housekeeping": leftovers(home),
        "model_folders_of_killed_workers": len(list(folder.glob("sentiment-model-*"))),
        "outcomes": outcomes,
    }


def main() -> None:
    """Run it, or one of its processes."""
    if len(sys.argv) == 5:
        child(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with subset_csv(SHARDS * CHUNK_ROWS) as path, tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        run("run", str(path), "--rows", "20000", "--json", home=home.root)
        workers = Path(folder) / "workers"
        workers.mkdir()
        result = simulate(home, workers, rounds=rounds)
    target = Path(__file__).with_name("results") / "shard_kills.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "outcomes"}, indent=2))


if __name__ == "__main__":
    main()
