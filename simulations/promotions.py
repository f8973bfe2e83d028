"""Kill -9 between a promotion and the moment readers see it, and how fast a rollback is: `python -m simulations.promotions`.

Kills: a second version is promoted, scores every tweet in small chunks and is published; the process is killed at a moment
drawn evenly over that time, 20 times. Readers look at the published snapshot all the while: they must always find one
complete version. The next run has to finish the job.

Rollback: two versions have scored every tweet; seconds from the command to a reader who sees the former champion's scores.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import duckdb

from benchmarks.data import run, subset_csv, training_csv

KILLS, ROWS, CHUNK_ROWS = 20, 100_000, 2_000
SHOWN = "select count(*), count(distinct model_version), min(model_version) from scored_tweets"


def shown(home: Path) -> tuple[int, int, int]:
    """Tweets that readers see, how many versions, and which."""
    with duckdb.connect(str((home / "published" / "sentiment.duckdb").resolve()), read_only=True) as snapshot:
        row = snapshot.sql(SHOWN).fetchone()
    assert row is not None
    return row


def take_over(root: str) -> None:
    """Child: promote version 2, score with it and publish; says `go` when everything is imported."""
    from sentiment.registry.champion import promote
    from sentiment.registry.client import Registry
    from sentiment.scoring.score import score
    from sentiment.settings import Home
    from sentiment.warehouse.snapshot import publish

    home = Home(Path(root))
    registry = Registry(home)
    registry.load(2)
    print("go", flush=True)
    promote(home, registry, model_version=2, changed_by="benchmark", reason="to be killed")
    publish(home)
    score(home, registry, run_id="benchmark", chunk_rows=CHUNK_ROWS)
    publish(home)


class Reader(threading.Thread):
    """Looks at the snapshot until it is stopped, and remembers everything it saw."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self.home, self.seen, self.errors, self.stopping = home, set[tuple[int, int, int]](), list[str](), False

    def run(self) -> None:
        while not self.stopping:
            try:
                self.seen.add(shown(self.home))
            except Exception as error:
                self.errors.append(str(error))


def start(home: Path) -> subprocess.Popen[str]:
    """Start the child and wait until it begins."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulations.promotions", str(home)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    return process


def kills(folder: Path) -> dict[str, object]:
    """Kill the take-over again and again, each time in a copy of one home."""
    dice = random.Random(0)
    template = folder / "template"
    with subset_csv(ROWS) as path:
        run("run", str(path), "--rows", "25000", "--json", home=template)
        # The second version waits for approval, so that nothing has moved yet.
        os.environ["SENTIMENT_NEEDS_APPROVAL"] = "true"
        run("retrain", "--rows", "90000", "--json", home=template)
        del os.environ["SENTIMENT_NEEDS_APPROVAL"]
    count, _, _ = shown(template)
    shutil.copytree(template, folder / "undisturbed", symlinks=True)
    process, began = start(folder / "undisturbed"), time.perf_counter()
    assert process.wait() == 0
    seconds = time.perf_counter() - began
    outcomes = []
    for number in range(KILLS):
        home, after = folder / f"killed-{number}", dice.uniform(0, 1) * seconds
        shutil.copytree(template, home, symlinks=True)
        reader = Reader(home)
        process = start(home)
        reader.start()
        try:
            process.wait(after)
            was_running = False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            was_running = True
        shown_after_kill = shown(home)
        run("score", "--json", home=home)
        reader.stopping = True
        reader.join()
        outcomes.append(
            {
                "killed_after": round(after, 2),
                "was_running": was_running,
                "version_after_kill": shown_after_kill[2],
                "always_one_version_complete": all(row[:2] == (count, 1) for row in {*reader.seen, shown_after_kill}),
                "failed_reads": len(reader.errors),
                "finished_by_the_next_run": shown(home) == (count, 1, 2),
            }
        )
        print(json.dumps(outcomes[-1]), file=sys.stderr)
        shutil.rmtree(home)
    return {
        "rows": count,
        "undisturbed_seconds": round(seconds, 2),
        "kills": len(outcomes),
        "killed_while_running": sum(bool(found["was_running"]) for found in outcomes),
        "always_one_version_complete": all(found["always_one_version_complete"] for found in outcomes),
        "failed_reads": sum(int(found["failed_reads"]) for found in outcomes),
        "finished_by_the_next_run": all(found["finished_by_the_next_run"] for found in outcomes),
        "outcomes": outcomes,
    }


def rollback(folder: Path) -> dict[str, object]:
    """Go back on all tweets, and wait until a reader sees it."""
    home = folder / "whole"
    with training_csv() as path:
        run("run", str(path), "--rows", "100000", "--json", home=home)
        run("run", str(path), "--json", home=home)
    before = shown(home)
    began = time.perf_counter()
    process = threading.Thread(target=run, args=("rollback", "--reason", "benchmark", "--json"), kwargs={"home": home})
    process.start()
    while shown(home)[2] == before[2] and time.perf_counter() - began < 120:
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    process.join()
    return {"rows": before[0], "from": before, "to": shown(home), "seconds_until_readers_see_it": round(seconds, 2)}


def main() -> None:
    """Run both and write the results."""
    if len(sys.argv) > 1:
        take_over(sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        result = {"rollback": rollback(Path(folder)), "kills": kills(Path(folder))}
    target = Path(__file__).with_name("results") / "promotions.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({"rollback": result["rollback"], **{k: v for k, v in result["kills"].items() if k != "outcomes"}}))  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
