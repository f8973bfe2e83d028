"""End an operation at each of its failpoints and run it again: `python -m simulations.failpoints [OPERATION ...]`.

A failpoint is the moment before or after something becomes lasting: a commit of DuckDB or SQLite, a statement outside a
transaction, a rename or a removal in the home. They are found by watching the operation run once, so that a new one cannot be
forgotten.

The operation runs once, is held at each failpoint, and the files are copied: they are what a kill leaves in this moment. From
each copy another process runs the operation again. What the home then holds must be what it holds when nothing was in the way, the
checks in `sql/checks` must pass, and readers must have had a snapshot at every moment. With `--kills` a process is killed at so many
failpoints instead, which takes a run more for each.

A power cut loses more than a kill, what was not flushed to the disk: `simulations.power_cuts` tries that.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sentiment.gate import evidence
from sentiment.settings import Home
from sentiment.warehouse.connection import reader
from sentiment.warehouse.seals import digest_of_file
from simulations.children import CONTEXT
from simulations.failpoint_watch import Watch
from simulations.operations import OPERATIONS, SETTINGS, copy_home, load_here, run_operation, templates


def _child(name: str, root: Path, stop_at: int | None, line: Connection) -> None:
    evidence.predict_in_fresh_process = load_here  # type: ignore[attr-defined]

    def stop(number: int) -> None:
        if stop_at is None:
            line.send(number)
            line.recv()
        elif number == stop_at:
            os.kill(os.getpid(), signal.SIGKILL)

    watch = Watch(root.parent, stop)
    watch.install()
    OPERATIONS[name].run(Home(root, SETTINGS))
    watch.end()
    line.send(watch.seen)


def watched(
    name: str, root: Path, stop_at: int | None = None, at_point: Callable[[int], None] = lambda number: None
) -> list[str] | None:
    """Run an operation in a process of its own that is held at each failpoint, or killed at one.

    Args:
        stop_at: number of the failpoint at which it is killed.
        at_point: called with the number of each failpoint, while the process waits.

    Returns:
        the failpoints it passed; None if it was killed.

    Raises:
        RuntimeError: it failed.
    """
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_child, args=(name, root, stop_at, there))
    process.start()
    there.close()
    found = None
    with suppress(EOFError):
        while isinstance(found := here.recv(), int):
            at_point(found)
            here.send(None)
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{name} in {root} ended with status {process.exitcode}")
    return found


@dataclass(frozen=True)
class Undisturbed:
    """What an operation does and leaves behind when nothing is in its way."""

    name: str
    template: Path
    seen: list[str]
    expected: dict[str, Any]

    def outcome(self, failpoint: str, home: Path, again: bool = True) -> dict[str, Any]:
        """What differs after a run that follows one that ended at a failpoint; or at once, if it is not run again."""
        # Readers have a whole snapshot in this very moment.
        with reader(Home(home, SETTINGS)) as snapshot:
            snapshot.connection.execute("select count(*) from scored_tweets").fetchone()
        ending = run_operation(self.name, home, does=again, looks=True)
        # A draft that was removed may be there again; the next housekeeping removes it.
        compared = self.expected.keys() - (set() if again else {"drafts"})
        different = sorted(key for key in compared if ending.contents.get(key) != self.expected[key])
        if ending.how != "done":
            different = [f"{ending.how}: {ending.said}"]
        return {"operation": self.name, "failpoint": failpoint, "different": different}


def undisturbed(name: str, template: Path, folder: Path) -> Undisturbed:
    """Run an operation, and watch it."""
    home = copy_home(template, folder / "undisturbed")
    found = watched(name, home)
    assert found is not None, "nothing killed it"
    return Undisturbed(name, template, found, run_operation(name, home, does=False, looks=True).contents)


def kills(whole: Undisturbed, folder: Path, count: int) -> Iterator[dict[str, Any]]:
    """Kill an operation at so many of its failpoints, evenly spread, and say what differs after a second run."""

    def trial(number: int) -> dict[str, Any]:
        home = copy_home(whole.template, folder / f"trial-{number}")
        was_killed = watched(whole.name, home, number) is None
        outcome = whole.outcome(whole.seen[number], home)
        shutil.rmtree(home.parent)
        return outcome | {"killed": was_killed}

    chosen = [len(whole.seen) * (2 * number + 1) // (2 * count) for number in range(count)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(trial, chosen)


def images(whole: Undisturbed, folder: Path, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Go on from the files as they were at these failpoints, and say what differs.

    Where nothing has changed since the failpoint before, as with a table that is created only if it is missing, the files are
    tried once.
    """
    # An image takes the place of the home that it was taken of: paths are in MLflow's database.
    home = copy_home(whole.template, folder / f"world-{numbers[0]}")
    kept: list[int] = []
    before: dict[Path, Any] = {}

    def keep(number: int) -> None:
        nonlocal before
        if number in numbers and (now := _files(home.parent)) != before:
            shutil.copytree(home.parent, folder / f"image-{number}", symlinks=True)
            kept.append(number)
            before = now

    found = watched(whole.name, home, at_point=keep)
    assert found is not None
    for number in kept:
        shutil.rmtree(home.parent)
        (folder / f"image-{number}").rename(home.parent)
        yield whole.outcome(found[number], home)


def _files(folder: Path) -> dict[Path, Any]:
    """Content and time of all files but for locks, which nobody holds after a kill."""
    found: dict[Path, Any] = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[path] = path.readlink()
        elif path.is_dir():
            found[path] = None
        elif path.parent.name != "locks":
            found[path] = path.stat().st_mtime_ns, digest_of_file(path)
    return found


def all_failpoints(whole: Undisturbed, folder: Path, workers: int = os.cpu_count() or 1) -> Iterator[dict[str, Any]]:
    """Go on from the files of every failpoint, as a kill leaves them."""
    numbers = range(len(whole.seen))
    size = max(1, -(-len(numbers) // workers))
    parts = [images(whole, folder, numbers[start : start + size]) for start in range(0, len(numbers), size)]
    with ThreadPoolExecutor(workers) as pool:
        while outcomes := [outcome for outcome in pool.map(lambda part: next(part, None), parts) if outcome]:
            yield from outcomes


def count_and_print(trials: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """Print each trial that did not end as it should; how many there were, and how many of these."""
    tried = bad = 0
    for outcome in trials:
        tried += 1
        if outcome["different"] or not outcome.get("killed", True):
            bad += 1
            print(json.dumps(outcome), flush=True)
    return tried, bad


def main() -> None:
    """Print each trial that did not end as it should, and the counts by operation."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("operations", nargs="*", help=f"of {', '.join(OPERATIONS)}")
    parser.add_argument("--kills", type=int, help="kill each operation at so many failpoints, evenly spread")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    failed = 0
    with templates() as template_of:
        for name in options.operations or OPERATIONS:
            with tempfile.TemporaryDirectory(prefix="failpoints-") as text:
                folder = Path(text)
                whole = undisturbed(name, template_of(name), folder)
                trials = (
                    kills(whole, folder, options.kills)
                    if options.kills
                    else all_failpoints(whole, folder, options.workers)
                )
                tried, bad = count_and_print(trials)
            failed += bad
            print(f"{name}: {len(whole.seen)} failpoints, {tried} tried, {bad} ended otherwise", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
