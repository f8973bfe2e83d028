"""Let the disk run full at every point of an operation: `python -m simulations.full_disk [OPERATION ...] [--steps N]`.

An operation of `simulations.operations` is run in a small file system in memory, with no free space at first and with a little
more at each step, up to what it needs. It must end with a sentence that says that the disk is full, or do its work; readers must
have a whole snapshot, and the checks in `sql/checks` must pass. Then there is room, and it runs again: the home must hold what it
holds when nothing was in the way.

The file systems are mounted, so this needs the rights of root on Linux; without them it says so and ends.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sentiment.settings import Home
from sentiment.warehouse.connection import reader
from simulations.operations import OPERATIONS, SETTINGS, copy_home, run_operation, templates

ROOM = 4 << 30
"""Bytes of a file system in which nothing runs full; memory is taken only for what is written."""
FULL = ("disk", "space", "full")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, with room; `limit` takes it away."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)], check=True, capture_output=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def can_mount() -> bool:
    """Whether this process may mount."""
    with tempfile.TemporaryDirectory(prefix="full-disk-") as folder:
        try:
            with small_disk(Path(folder) / "disk"):
                return True
        except (subprocess.CalledProcessError, FileNotFoundError):
            (Path(folder) / "disk").rmdir()
            return False


def used_bytes(disk: Path) -> int:
    """What is taken of a file system."""
    status = os.statvfs(disk)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def limit(disk: Path, free_bytes: int | None) -> None:
    """Leave so many bytes free, in whole pages; all that there is room for unless given."""
    page = os.sysconf("SC_PAGE_SIZE")
    size = ROOM if free_bytes is None else used_bytes(disk) + max(page, free_bytes // page * page)
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def needed_bytes(name: str, home: Path, disk: Path) -> int:
    """The most that an operation takes of the disk while it runs, beyond what was there."""
    before, most = used_bytes(disk), 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.002):
            most = max(most, used_bytes(disk))

    watching = threading.Thread(target=watch)
    watching.start()
    ending = run_operation(name, home)
    ended.set()
    watching.join()
    if ending.how != "done":
        raise RuntimeError(f"{name} does not work with room either: {ending}")
    return max(0, most - before)


def trial(name: str, template: Path, folder: Path, free_bytes: int, expected: dict[str, Any]) -> dict[str, Any]:
    """Run an operation with so much room, and again with enough; says what was wrong."""
    wrong: list[str] = []
    with small_disk(folder / f"disk-{free_bytes}") as disk:
        home = copy_home(template, disk / "world")
        for path in (folder / "inputs").iterdir():
            shutil.copy(path, home.parent)
        (home.parent / "backups").mkdir(exist_ok=True)
        limit(disk, free_bytes)
        ending = run_operation(name, home)
        if ending.how in ("trace", "crash"):
            wrong.append(f"{ending.how}: {ending.said}")
        if ending.how == "sentence" and not any(word in ending.said for word in FULL):
            wrong.append(f"no word of the disk: {ending.said}")
        try:
            with reader(Home(home, SETTINGS)) as snapshot:
                snapshot.read_all()
        except Exception as error:
            wrong.append(f"readers: {error}")
        limit(disk, None)
        again = run_operation(name, home, does=ending.how != "done", looks=True)
        if again.how != "done":
            wrong.append(f"with room again: {again}")
        else:
            wrong += [f"other {key}" for key in expected if again.contents.get(key) != expected[key]]
    return {"operation": name, "free_bytes": free_bytes, "ended": ending.how, "said": ending.said, "wrong": wrong}


def trials(name: str, template: Path, folder: Path, steps: int) -> Iterator[dict[str, Any]]:
    """An operation with 0 bytes free, with what it needs, and evenly in between."""
    with small_disk(folder / "disk") as disk:
        home = copy_home(template, disk / "world")
        needed = needed_bytes(name, home, disk)
        expected = run_operation(name, home, does=False, looks=True).contents
        # The files that it reads are no part of the trials.
        (folder / "inputs").mkdir()
        for path in home.parent.iterdir():
            if path.is_file():
                shutil.copy(path, folder / "inputs")
    amounts = [needed * step // max(1, steps - 1) for step in range(steps)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda free_bytes: trial(name, template, folder, free_bytes, expected), amounts)


def main() -> None:
    """Print each trial that went wrong, and how each operation's trials ended."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("operations", nargs="*", help=f"of {', '.join(OPERATIONS)}")
    parser.add_argument("--steps", type=int, default=64, help="how many amounts of free space to try for each")
    options = parser.parse_args()
    if not can_mount():
        sys.exit("File systems in memory cannot be mounted here: run this as root, on Linux.")
    failed = 0
    with templates() as template_of:
        for name in options.operations or OPERATIONS:
            with tempfile.TemporaryDirectory(prefix="full-disk-") as folder:
                found = list(trials(name, template_of(name), Path(folder), options.steps))
            bad = [outcome for outcome in found if outcome["wrong"]]
            for outcome in bad:
                print(json.dumps(outcome), flush=True)
            failed += len(bad)
            refused = sum(outcome["ended"] == "sentence" for outcome in found)
            most = max(outcome["free_bytes"] for outcome in found) >> 10
            print(
                f"{name}: {len(found)} steps to {most:,} KiB, {refused} refused in words, {len(bad)} went wrong",
                flush=True,
            )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
