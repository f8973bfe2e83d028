"""Kill the parts of `sentiment up`, one at a time and all together: `python -m simulations.up [KILLS]`.

A file of tweets lands before each kill and a run is asked for; at the end every tweet of every file must be there once. Then
worker and flow are killed together in the middle of a load, which leaves a run that seems to run: seconds until the automation
has ended it, and whether the next run does its work. Last, everything is killed at once and started again.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.data import command
from flows.ports import read_ports
from flows.server.ephemeral import DIRECT, running_server
from flows.server.rest import ask
from sentiment.sample import Span, write_sample
from sentiment.settings import Home

PARTS = ("flows.server.app", "prefect worker", "mlflow server", "flows.cli.app serve", "flows.server.reaper")
ROWS = 500
LONG_ROWS = 300_000
PATIENCE = 900.0


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process that is not a zombie."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = (line.split(None, 3) for line in listed.stdout.splitlines())
    return {int(pid): (int(ppid), args) for pid, ppid, stat, args in rows if not stat.startswith("Z")}


def below(ancestor: int) -> dict[int, str]:
    """The process tree below a process."""
    found, known = {}, processes()
    waiting = [ancestor]
    while waiting:
        parent = waiting.pop()
        for pid, (ppid, args) in known.items():
            if ppid == parent and pid not in found:
                found[pid] = args
                waiting.append(pid)
    return found


def part_of(up: int, name: str) -> int | None:
    """The process of a part, a child of the supervisor."""
    words = name.split()
    return next(
        (pid for pid, (ppid, args) in processes().items() if ppid == up and all(word in args for word in words)), None
    )


def wait(condition: Callable[[], Any], what: str) -> float:
    """Seconds until something holds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError(what)
        time.sleep(0.2)
    return time.monotonic() - began


def answers(address: str) -> bool:
    """Whether an address answers."""
    try:
        with DIRECT.open(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Running:
    """`sentiment up` in a home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        began = time.monotonic()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SENTIMENT_"))
        }
        self.process = subprocess.Popen(
            [*command(), "up"], env=environment | {"SENTIMENT_HOME": str(home)}, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("ready"):
                break
        self.seconds = time.monotonic() - began
        url = running_server(home)
        assert url is not None
        self.api = url

    def is_whole(self) -> bool:
        """Whether every part is there and answers."""
        mlflow = f"http://127.0.0.1:{read_ports(Home(self.home))['mlflow']}/health"
        try:
            pool = ask(f"{self.api}/work_pools/sentiment")
        except OSError:
            return False
        return (
            all(part_of(self.process.pid, name) for name in PARTS)
            and pool is not None
            and pool["status"] == "READY"
            and answers(mlflow)
        )

    def start_run(self, name: str, parameters: dict[str, Any]) -> str:
        """Ask for a run of a deployment."""
        deployment = ask(f"{self.api}/deployments/name/{name}/{name}")["id"]
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(ask(f"{self.api}/deployments/{deployment}/create_flow_run", body)["id"])

    def state(self, run: str) -> str:
        """The state of a run; empty while the server does not answer."""
        try:
            return str(ask(f"{self.api}/flow_runs/{run}")["state_type"])
        except (OSError, TypeError):
            return ""

    def finish(self, parameters: dict[str, Any]) -> int:
        """Ask for `ingest` until a run completes; how often it had to be asked."""
        for attempt in range(1, 30):
            run = self.start_run("ingest", parameters)
            wait(lambda run=run: self.state(run) not in ("", "SCHEDULED", "PENDING", "RUNNING"), "the end of a run")
            if self.state(run) == "COMPLETED":
                return attempt
            time.sleep(5)
        raise TimeoutError("no run completes")


def account(home: Path) -> dict[str, int]:
    """What readers see: files, their lines, the tweets that these say they loaded, and those that are there."""
    with duckdb.connect(str((home / "published" / "sentiment.duckdb").resolve()), read_only=True) as connection:
        row = connection.sql(
            "select count(*), sum(count_lines)::bigint, sum(count_loaded)::bigint, (select count(*) from tweets), "
            "(select count(distinct tweet_id) from tweets) from ingest_files"
        ).fetchone()
    assert row is not None
    return dict(zip(("files", "lines", "loaded", "tweets", "different_tweets"), row, strict=True))


def kill_parts(up: Running, kills: int, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Kill a part at random, again and again, while files land."""
    dice, outcomes, files = random.Random(0), [], []
    for number in range(kills):
        path = folder / f"{number}.csv"
        write_sample(path, ROWS, seed=number, span=Span(first_id=(number + 1) * 100_000_000))
        files.append(str(path))
        up.start_run("ingest", {"options": {"paths": [str(path)]}})
        time.sleep(dice.uniform(0, 10))
        name = dice.choice(PARTS)
        part = part_of(up.process.pid, name)
        assert part is not None, name
        os.kill(part, signal.SIGKILL)
        back = wait(lambda name=name, part=part: part_of(up.process.pid, name) not in (None, part), f"{name} back")
        whole = wait(up.is_whole, "all parts")
        outcomes.append({"killed": name, "back_seconds": round(back, 1), "whole_seconds": round(back + whole, 1)})
        print(json.dumps(outcomes[-1]), file=sys.stderr, flush=True)
    return outcomes, files


def kill_worker_and_flow(up: Running, path: Path) -> dict[str, Any]:
    """Kill the worker and the run that loads a large file; seconds until the run is ended and until the next has done it."""
    write_sample(path, LONG_ROWS, seed=99, span=Span(first_id=5_000_000_000))
    parameters = {"options": {"paths": [str(path)]}}
    # One that another run of the deployment keeps out is cancelled unstarted.
    while up.state(run := up.start_run("ingest", parameters)) != "RUNNING":
        wait(lambda run=run: up.state(run) not in ("", "SCHEDULED", "PENDING"), "a run")
        if up.state(run) == "RUNNING":
            break
        time.sleep(5)
    # The first heartbeat must have been sent; the load itself goes on for some seconds more.
    time.sleep(3)
    worker = part_of(up.process.pid, "prefect worker")
    assert worker is not None
    doomed = [worker, *(pid for pid, args in below(up.process.pid).items() if "prefect" in args and "flow" in args)]
    was_running = up.state(run) == "RUNNING"
    for pid in doomed:
        with_kill(pid)
    ended = wait(lambda: up.state(run) in ("CRASHED", "FAILED", "COMPLETED", "CANCELLED"), "the end of the run")
    return {
        "was_running": was_running,
        "state": up.state(run),
        "ended_after_seconds": round(ended, 1),
        "runs_until_loaded": up.finish(parameters),
    }


def with_kill(pid: int) -> None:
    """Kill a process that may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main() -> None:
    """Kill, look, and write down what came back and what was lost."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory(prefix="up-") as name:
        folder = Path(name)
        home = folder / "home"
        up = Running(home)
        result: dict[str, Any] = {"ready_seconds": round(up.seconds, 1)}
        outcomes, files = kill_parts(up, kills, folder)
        result["runs_until_loaded"] = up.finish({"options": {"paths": files}})
        result |= {"kills": len(outcomes), "came_back": len(outcomes), "account": account(home)}
        result["worker_and_flow"] = kill_worker_and_flow(up, folder / "long.csv")
        for pid in [up.process.pid, *below(up.process.pid)]:
            with_kill(pid)
        up.process.wait()
        up = Running(home)
        result["ready_again_seconds"] = round(up.seconds, 1)
        result["runs_until_done_again"] = up.finish({"options": {"paths": files}})
        result["account_at_the_end"] = account(home)
        up.process.send_signal(signal.SIGTERM)
        up.process.wait(120)
        result["outcomes"] = outcomes
    target = Path(__file__).with_name("results") / "up.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "outcomes"}, indent=2))


if __name__ == "__main__":
    main()
