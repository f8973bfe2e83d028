"""Cut the power at each moment of an operation, and go on: `python -m simulations.power_cuts [OPERATION ...]`.

The operation runs once while `strace` notes what it does to files. Replayed on a copy of the files from before, the notes must
give what the operation left, byte for byte; so they can be trusted. Then they are replayed up to each flush and to the end, with
what was flushed by then, and each choice of the rest that a disk may have kept (`simulations.disk` has the rules). Up to 32 choices
are all tried; of more, none, all, all but each one, each one alone, all up to each one, each torn, and some at random.

From each of these states readers must have a whole snapshot at once, and the operation runs again: the home must then hold what it
holds when nothing was in the way. After the end nothing is run again: what an operation has finished lasts. Linux only.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulations.disk import PAGE, Disk, Point, Step, points
from simulations.failpoints import Undisturbed, count_and_print
from simulations.operations import OPERATIONS, copy_home, run_operation, templates
from simulations.recording import FORGOTTEN, Recording
from simulations.system_calls import TRACER, recorded

MOST = 32
"""Choices that are all tried at one point."""
Fates = dict[int, str]
"""Of steps that were not flushed, by number: `lost`, `kept`, `zeros`, `head` or `tail`."""


@dataclass(frozen=True)
class Cut:
    """A state that a power cut may leave: the point, and what became of what was not flushed."""

    point: Point
    fates: Fates


def fates_of(step: Step) -> tuple[str, ...]:
    """What may become of a step that was not flushed."""
    if step.kind != "write":
        return "lost", "kept"
    return ("lost", "kept", "zeros", *(("head", "tail") if len(step.data) > PAGE else ()))


def choices(steps: Sequence[Step], waiting: Sequence[int], chance: random.Random, count: int) -> Iterator[Fates]:
    """All choices of fates, or where there are more than 32 those named above and `count` at random."""
    possible = [fates_of(steps[number]) for number in waiting]
    if math.prod(map(len, possible)) <= MOST:
        for fates in itertools.product(*possible):
            yield dict(zip(waiting, fates, strict=True))
        return
    yield dict.fromkeys(waiting, "lost")
    yield dict.fromkeys(waiting, "kept")
    for place, number in enumerate(waiting):
        before, after = dict.fromkeys(waiting[:place], "kept"), dict.fromkeys(waiting[place + 1 :], "lost")
        yield dict.fromkeys(waiting, "kept") | {number: "lost"}
        yield dict.fromkeys(waiting, "lost") | {number: "kept"}
        for fate in possible[place][1:]:
            yield {**before, number: fate, **after}
    for _ in range(count):
        yield {number: chance.choice(fates) for number, fates in zip(waiting, possible, strict=True)}


@dataclass(frozen=True)
class Recorded:
    """An operation, what it did to the disk, and what it left behind.

    Attributes:
        world: folder of the home and what is next to it; states are made there, since MLflow notes paths.
    """

    whole: Undisturbed
    world: Path
    before: Disk
    recording: Recording

    @classmethod
    def of(cls, name: str, template: Path, folder: Path, prefix: Sequence[str] = (), **environment: str) -> Recorded:
        """Run an operation and note what it does.

        Args:
            prefix: what to run it with instead of `python -m simulations.operations`.

        Raises:
            RuntimeError: the notes do not give what the operation left.
        """
        world = folder / "world"
        home = copy_home(template, world)
        before = Disk.read(world)
        recording = Recording(before, world)
        command = [*(prefix or (sys.executable, "-m", "simulations.operations")), name, str(home)]
        recording.follow(recorded(command, world, folder / "calls", {**os.environ, **environment}))
        (folder / "calls").unlink()
        if different := recording.now.differs_from(Disk.read(world)):
            raise RuntimeError(f"{name}: the system calls do not explain {different}")
        expected = run_operation(name, home, does=False, looks=True).contents
        return cls(Undisturbed(name, template, [], expected), world, before, recording)

    def disks(self, cuts: Iterator[Cut] | Sequence[Cut]) -> Iterator[tuple[Cut, Disk]]:
        """The disks after cuts, which come in the order of their points."""
        steps, kept = self.recording.steps, self.recording.empty(self.before)
        todo = points(steps)
        point = None
        for cut in cuts:
            while point is None or point.number < cut.point.number:
                point = next(todo)
                for number in point.lasting:
                    kept.apply(steps[number])
            disk = kept.copy()
            for number in point.waiting:
                disk.apply(steps[number], cut.fates[number])
            yield cut, disk

    def cuts(self, count: int) -> list[Cut]:
        """The states that power cuts may leave, each once."""
        chance, steps = random.Random(17), self.recording.steps
        found, seen = [], set()
        every = (Cut(point, f) for point in points(steps) for f in choices(steps, point.waiting, chance, count))
        for cut, disk in self.disks(every):
            # After the end it is not run again, which is another trial of the same files.
            if (state := (_state(disk), cut.point.said == "end")) not in seen:
                seen.add(state)
                found.append(cut)
        return found

    def trials(self, cuts: Sequence[Cut]) -> Iterator[dict[str, Any]]:
        """Go on from these states, and say what differs."""
        home = self.world / self.whole.template.name
        for cut, disk in self.disks(cuts):
            shutil.rmtree(self.world)
            self.world.mkdir()
            disk.write(self.world)
            lost = [
                f"{self.recording.steps[number].said}: {fate}" for number, fate in cut.fates.items() if fate != "kept"
            ]
            try:
                outcome = self.whole.outcome(cut.point.said, home, again=cut.point.said != "end")
            except Exception as error:
                outcome = {"failpoint": cut.point.said, "different": [f"{type(error).__name__}: {error}"[:400]]}
            yield outcome | {"step": cut.point.number, "lost": lost}


def _state(disk: Disk) -> int:
    return hash(
        frozenset(
            (path, disk.inodes[number].kind, disk.inodes[number].content)
            for path, number in disk.below().items()
            if path.split("/")[1:2] not in [[name] for name in FORGOTTEN]
        )
    )


def sample(cuts: Sequence[Cut], count: int) -> list[Cut]:
    """All of these states, or so many of them: half of them after the end, if there are so many, the others evenly spread."""
    ended = [cut for cut in cuts if cut.point.said == "end"]
    others = [cut for cut in cuts if cut.point.said != "end"]
    return [*_evenly(others, count - min(len(ended), count // 2)), *_evenly(ended, count // 2)]


def _evenly(cuts: Sequence[Cut], count: int) -> list[Cut]:
    if len(cuts) <= count:
        return list(cuts)
    return [cuts[len(cuts) * (2 * number + 1) // (2 * count)] for number in range(count)]


def main() -> None:
    """Print each state from which an operation did not go on as it should, and the counts by operation."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("operations", nargs="*", help=f"of {', '.join(OPERATIONS)}")
    parser.add_argument("--states", type=int, default=100, help="try so many of each operation, evenly spread")
    parser.add_argument(
        "--random", type=int, default=4, help="random choices at each flush before which much is pending"
    )
    options = parser.parse_args()
    if TRACER is None:
        parser.error(
            "strace is missing; it notes what an operation does to files. Install it, for example: apt install strace"
        )
    failed = 0
    with templates() as template_of:
        for name in options.operations or OPERATIONS:
            with tempfile.TemporaryDirectory(prefix="power-cuts-") as folder:
                operation = Recorded.of(name, template_of(name), Path(folder))
                found = operation.cuts(options.random)
                tried, bad = count_and_print(operation.trials(sample(found, options.states)))
            failed += bad
            print(f"{name}: {len(found)} states, {tried} tried, {bad} ended otherwise", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
