"""Draws flame graphs of two runs below each other, on one scale of seconds: `python -m benchmarks.flames BEFORE NOW`.

Both are files of `py-spy record --rate 40 --subprocesses --function --format raw -o FILE -- sentiment run …`. A column is a call stack
from the top down, as wide as the seconds that threads worked in it, those of all processes added up. Of a library only its name
is shown; Python's own frames and the command line's are left out, and so are threads that wait.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

RATE = 40
RESULTS = Path(__file__).with_name("results") / "whole_run.png"
_FRAME = re.compile(r"(.+) \((.+?)(?::\d+)?\)$")
_WAITING = ("threading.py", "selectors.py", "queue.py", "thread.py", "subprocess.py", "socket.py", "aiosqlite/core.py")
_WAITS = ("Lifeline.run",)
_OWN = ("sentiment/", "flows/")
_LEFT_OUT = ("flows/cli", "flows/server/ephemeral", "flows/orchestration")
_LEAST_SECONDS, _MOST_LEVELS = 0.15, 13
_LETTERS = 300
"""That have room in the width of the picture."""


@dataclass
class Node:
    """A function or library under its caller, and the samples in which it was found."""

    count: int = 0
    below: dict[str, Node] = field(default_factory=dict)


def read(path: Path) -> Node:
    """The stacks of a file as a tree."""
    root = Node()
    for line in path.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        found = _FRAME.match(frames[-1])
        if found is None or found[1] in _WAITS or found[2].endswith(_WAITING):
            continue
        node = root
        node.count += int(count)
        for name in names(frames):
            node = node.below.setdefault(name, Node())
            node.count += int(count)
    return root


def names(frames: list[str]) -> Iterator[str]:
    """What is shown of a stack: functions of this project and names of libraries, without repetitions."""
    last = ""
    for frame in frames:
        found = _FRAME.match(frame)
        if found is None:
            continue
        function, path = found.groups()
        if path.startswith(_LEFT_OUT):
            continue
        if path.startswith(_OWN):
            name = f"{Path(path).stem}: {function.replace('.<locals>', '')}"
        elif "/" in path and not path.startswith(
            ("<", "importlib", "concurrent", "multiprocessing", "asyncio", "json")
        ):
            name = path.partition("/")[0]
        else:
            continue
        if name != last and not name.startswith("typer"):
            yield name
        last = name


def draw(axes: Axes, node: Node, letters_a_second: float, left: float = 0.0, level: int = 0) -> None:
    """Draw what is below a node, the widest first."""
    for name, child in sorted(node.below.items(), key=lambda item: -item[1].count):
        seconds = child.count / RATE
        if seconds < _LEAST_SECONDS or level >= _MOST_LEVELS:
            continue
        colour = "#f4a259" if ": " in name else "#8cb3d9"
        axes.barh(-level, seconds, left=left, height=0.94, color=colour, edgecolor="white", linewidth=0.6)
        if (room := int(letters_a_second * seconds)) > 4:
            shown = name if len(name) <= room else f"{name[: room - 1]}…"
            axes.text(left + 0.05, -level, shown, va="center", fontsize=6, clip_on=True)
        draw(axes, child, letters_a_second, left, level + 1)
        left += seconds


def main() -> None:
    """Draw the two."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("now", type=Path)
    options = parser.parse_args()
    trees = {"the version before": read(options.before), "now": read(options.now)}
    letters_a_second = _LETTERS * RATE / max(tree.count for tree in trees.values())
    figure = Figure(figsize=(15, 9), layout="constrained")
    for axes, (title, tree) in zip(figure.subplots(2, sharex=True), trees.items(), strict=True):
        draw(axes, tree, letters_a_second)
        axes.set_title(f"{title}: {tree.count / RATE:.0f} seconds", loc="left", fontsize=10)
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("seconds of all threads that work, in all processes, added up")
    figure.savefig(RESULTS, dpi=110)


if __name__ == "__main__":
    main()
