"""The architecture as the imports have it: rooms, floors, arrows, circles; `python -m docs.architecture [--write]`.

A room is a package, or a module of `sentiment` that is in no package of it; the flows share one. The floor of a room is how
many rooms are on the longest way down from it, itself counted. It prints a table, with the longest function and signature of
each room. `--write` puts the picture into docs/architecture.md; a test compares it with the code. Another checkout of the
project can be measured as well: `python -m docs.architecture FOLDER`.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "architecture.md"
START, END = "<!-- drawn by python -m docs.architecture --write -->\n", "<!-- end of what is drawn -->"
WINGS = ("sentiment", "flows")
EXTERNAL = ("typer", "prefect")


@dataclass(frozen=True)
class Function:
    """Where a function is, how many lines it has, docstring included, and how many parameters."""

    room: str
    name: str
    lines: int
    parameters: int
    is_form: bool
    """Whether typer or Prefect makes a form of its parameters: there each is an option, and no caller writes them out."""


@dataclass(frozen=True)
class House:
    """What the imports say."""

    floors: dict[str, int]
    arrows: set[tuple[str, str]]
    circles: list[set[str]]
    functions: list[Function]


def survey(root: Path) -> House:
    """Read every module below the two packages."""
    paths = {path: room_of(path.relative_to(root)) for wing in WINGS for path in sorted((root / wing).rglob("*.py"))}
    paths = {path: room for path, room in paths.items() if room}
    modules = {module_of(path.relative_to(root)): room for path, room in paths.items()}
    arrows, functions = set(), []
    between_modules = set()
    for path, room in paths.items():
        tree = ast.parse(path.read_text())
        own = module_of(path.relative_to(root))
        for name in imported(tree, path.relative_to(root)):
            target = next((part for part in prefixes(name) if part in modules), None)
            if target is not None and target != own:
                between_modules.add((own, target))
                if modules[target] != room:
                    arrows.add((room, modules[target]))
        functions += list(functions_of(tree, room))
    circles = [circle for circle in components(set(modules), between_modules) if len(circle) > 1]
    return House(floors_of(set(paths.values()), arrows), arrows, circles, functions)


def module_of(path: Path) -> str:
    """The full name of a module, that of the package for its `__init__`."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def room_of(path: Path) -> str:
    """`sentiment/model/kernels.py` is in `model`, `flows/cli/app.py` in `flows/cli`, `flows/score.py` in `flows`."""
    wing, *names = path.with_suffix("").parts
    if names == ["__init__"]:
        return ""
    if wing == "sentiment":
        return names[0]
    return f"flows/{names[0]}" if len(names) > 1 else "flows"


def imported(tree: ast.AST, path: Path) -> Iterator[str]:
    """Full names of what a module imports, relative ones resolved; `from a import b` may name a module `a.b`."""
    package = path.parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def prefixes(name: str) -> Iterator[str]:
    """`a.b.c`, `a.b`, `a`."""
    parts = name.split(".")
    yield from (".".join(parts[:count]) for count in range(len(parts), 0, -1))


def functions_of(tree: ast.AST, room: str) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            is_form = room == "flows/cli" or node.name == "_" or "typer" in ast.unparse(given)
            count = len([name for name in names if name not in ("self", "cls")])
            yield Function(room, node.name, (node.end_lineno or node.lineno) - node.lineno + 1, count, is_form)


def components(nodes: set[str], arrows: set[tuple[str, str]]) -> list[set[str]]:
    """Those that import each other, directly or not (strongly connected components)."""
    reach = {each: reachable(each, arrows) for each in nodes}
    found: list[set[str]] = []
    for each in sorted(nodes):
        if not any(each in circle for circle in found):
            found.append({other for other in nodes if other == each or (other in reach[each] and each in reach[other])})
    return found


def reachable(start: str, arrows: set[tuple[str, str]]) -> set[str]:
    """What something imports, and what that imports, and so on."""
    below: dict[str, list[str]] = {}
    for origin, target in arrows:
        below.setdefault(origin, []).append(target)
    found: set[str] = set()
    todo = [start]
    while todo:
        for target in below.get(todo.pop(), ()):
            if target not in found:
                found.add(target)
                todo.append(target)
    return found


def floors_of(rooms: set[str], arrows: set[tuple[str, str]]) -> dict[str, int]:
    """The floor of each room, 1 for what imports no other; rooms that import each other share one."""
    floors: dict[str, int] = {}
    groups = components(rooms, arrows)

    def floor(room: str) -> int:
        if room not in floors:
            own = next(group for group in groups if room in group)
            below = {target for origin, target in arrows if origin in own and target not in own}
            height = 1 + max(map(floor, below), default=0)
            floors.update(dict.fromkeys(own, height))
        return floors[room]

    for room in sorted(rooms):
        floor(room)
    return floors


def figures(house: House) -> str:
    """The house in one sentence."""
    rooms, floors = len(house.floors), max(house.floors.values())
    return (
        f"{rooms} rooms on {floors} floors, {len(house.arrows)} arrows, {len(house.circles) or 'no'} circle of modules."
    )


def summary(house: House) -> str:
    """The figures, and the longest function and signature of each room, as Markdown."""
    lines = [
        figures(house),
        "",
        "| room | floor | longest function | lines | longest signature | parameters |",
        "| --- | ---: | --- | ---: | --- | ---: |",
    ]
    for room, floor in sorted(house.floors.items(), key=lambda item: (-item[1], item[0])):
        own = [function for function in house.functions if function.room == room]
        if not own:
            lines.append(f"| {room} | {floor} | | | | |")
            continue
        longest = max(own, key=lambda function: (function.lines, function.name))
        calls = [function for function in own if not function.is_form] or own
        widest = max(calls, key=lambda function: (function.parameters, function.name))
        lines.append(
            f"| {room} | {floor} | `{longest.name}` | {longest.lines} | `{widest.name}` | {widest.parameters} |"
        )
    return "\n".join(lines) + "\n"


def picture(house: House) -> str:
    """One row a floor; an arrow to a room on the floor below or further down, without those that others imply."""
    lines = ["```mermaid", "flowchart TD"]
    by_floor: dict[int, list[str]] = {}
    for room, floor in house.floors.items():
        by_floor.setdefault(floor, []).append(room)
    for floor in sorted(by_floor, reverse=True):
        lines.append(f"  subgraph floor_{floor}[floor {floor}]")
        lines += [f"    {node(room)}[{room}]" for room in sorted(by_floor[floor])]
        lines.append("  end")
    lines += [f"  {node(origin)} --> {node(target)}" for origin, target in sorted(direct(house))]
    return "\n".join([*lines, "```"]) + "\n"


def node(room: str) -> str:
    return room.replace("/", "_")


def direct(house: House) -> set[tuple[str, str]]:
    """The arrows that no longer way implies: what has to be drawn."""
    return {
        (origin, target)
        for origin, target in house.arrows
        if not any(
            target in reachable(between, house.arrows)
            for first, between in house.arrows
            if first == origin and between not in (target, origin)
        )
    }


def drawn(house: House) -> str:
    """The part of docs/architecture.md that is made by this script."""
    return f"{START}\n{picture(house)}\n{figures(house)}\n\n{END}"


def main() -> None:
    """Print the table, or put picture and table into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT, help="a checkout; this one unless given")
    parser.add_argument("--write", action="store_true", help="write docs/architecture.md")
    arguments = parser.parse_args()
    house = survey(arguments.folder)
    if arguments.write:
        text = TARGET.read_text()
        before, after = text[: text.index(START)], text[text.index(END) + len(END) :]
        TARGET.write_text(before + drawn(house) + after)
        return
    print(summary(house))
    for circle in house.circles:
        print("circle:", ", ".join(sorted(circle)))


if __name__ == "__main__":
    main()
