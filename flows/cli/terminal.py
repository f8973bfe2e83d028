"""What a command shows: tables for people, one JSON document for programs, progress bars, and errors as sentences.

Standard output carries the answer alone; bars, notes and errors go to standard error.
"""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import math
import os
import pydoc
import resource
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from sentiment.errors import HomeError, SentimentError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]

LEAST_TEXT = 14
"""Characters that a column of texts needs to be read."""
GAP = 2
"""Between columns, as rich puts it."""

FEWEST_FILES, MANY_FILES = 64, 4_096
"""That a process may have open: a whole run got by with 40; with 16 Prefect's server failed without saying why."""


def harmless(text: str) -> str:
    """A text whose control characters cannot act on the terminal; line breaks and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


class HarmlessConsole(Console):
    """A console for texts with names of files and values from outside."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, without control characters in texts."""
        super().print(*(harmless(shown) if isinstance(shown, str) else shown for shown in objects), **options)


out = HarmlessConsole(soft_wrap=True, highlight=False)
notes = HarmlessConsole(stderr=True, soft_wrap=True, highlight=False)


def say_waiting(message: str) -> None:
    """Show what a command waits for."""
    notes.print(message, markup=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.flush()
    # JSON is UTF-8, also on a terminal with another encoding.
    sys.stdout.buffer.write(json_text(value, indent=2).encode(errors="backslashreplace") + b"\n")
    sys.stdout.buffer.flush()


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON; numbers that JSON has not are the texts `NaN`, `Infinity` and `-Infinity`."""
    try:
        return json.dumps(value, default=plain, ensure_ascii=False, allow_nan=False, indent=indent)
    except (ValueError, TypeError):
        return json.dumps(_finite(value), default=plain, ensure_ascii=False, allow_nan=False, indent=indent)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(plain(key)): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _finite(plain(value))
    return value


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, most_lines: int | None = None
) -> None:
    """A table on standard output; numbers to the right, times to the second in local time.

    On a terminal too narrow for it, each row is a list of its columns instead.

    Args:
        most_lines: a text that needs more lines of its column than that is cut.
    """
    cells = [[_shown(value, column) for value, column in zip(row, columns, strict=True)] for row in rows]
    names = [column.replace("_", " ") for column in columns]
    console = out if out.is_terminal else Console(width=200, highlight=False)
    are_numbers = [
        any(isinstance(row[index], int | float) and not isinstance(row[index], bool) for row in rows)
        for index in range(len(columns))
    ]
    widths = _column_widths(names, cells, are_numbers, console.width)
    if widths is None:
        _print_records(console, title, names, cells)
        return
    table = Table(
        title=title or None, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    for name, is_number, width in zip(names, are_numbers, widths, strict=True):
        table.add_column(name, justify="right" if is_number else "left", overflow="fold", width=width)
    for row in cells:
        table.add_row(*(Text(_cut(text, width, most_lines)) for text, width in zip(row, widths, strict=True)))
    console.print(table)


def _column_widths(
    names: Sequence[str], cells: Sequence[Sequence[str]], are_numbers: Sequence[bool], room: int
) -> list[int] | None:
    """Characters for each column: what its texts need, shared fairly where that is too much; None where it cannot be."""
    needed = [max([cell_len(text) for text in (name, *(row[i] for row in cells))]) for i, name in enumerate(names)]
    least = [need if is_number else min(need, LEAST_TEXT) for need, is_number in zip(needed, are_numbers, strict=True)]
    room -= GAP * (len(names) - 1)
    if sum(least) > room:
        return None
    widths = dict(enumerate(least))
    by_need = sorted(widths, key=lambda i: needed[i] - least[i])
    spare = room - sum(least)
    for place, i in enumerate(by_need):
        taken = min(needed[i] - least[i], spare // (len(by_need) - place))
        widths[i] += taken
        spare -= taken
    return [widths[i] for i in range(len(names))]


def _print_records(console: Console, title: str, names: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    if title:
        console.print(title, style="bold", markup=False)
    for number, row in enumerate(cells):
        if number:
            console.print()
        for name, text in zip(names, row, strict=True):
            if text:
                console.print(Text(name, style="bold"))
                console.print(Padding(Text(text, overflow="fold"), (0, 0, 0, 2), expand=False), soft_wrap=False)


def _cut(text: str, width: int, most_lines: int | None) -> str:
    if most_lines is None or cell_len(text) <= width * most_lines:
        return text
    return set_cell_size(text, width * most_lines - 1).rstrip() + "…"


@contextmanager
def paged() -> Iterator[None]:
    """Within this context, what standard output gets goes through the pager if it is longer than the terminal."""
    if not out.is_terminal:
        yield
        return
    with out.capture() as captured:
        yield
    text = captured.get()
    if text.count("\n") < out.height:
        sys.stdout.write(text)
    else:
        os.environ.setdefault("LESS", "-R")  # Else it shows the codes of bold type.
        pydoc.pager(text)


def show_result(title: str, frame: Any, as_json: bool) -> None:
    """A polars frame as a table, or as a list of JSON objects."""
    if as_json:
        print_json(list(frame.iter_rows(named=True)))
        return
    with paged():
        print_table(title, frame.columns, frame.rows())


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int | None, str], None]]:
    """Progress bars on a terminal; elsewhere a line for each step, so that a log stays readable.

    Yields:
        `show(step, done, total, detail)`.
    """
    if not notes.is_terminal:
        named: set[str] = set()

        def line(step: str, done: int, total: int | None, detail: str) -> None:
            if step not in named:
                named.add(step)
                notes.print(f"{step} …", markup=False)

        yield line
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=notes, transient=True) as progress:

        def bar(step: str, done: int, total: int | None, detail: str) -> None:
            if step not in bars:
                for earlier in bars.values():
                    progress.stop_task(earlier)
                    progress.update(earlier, visible=False)
                bars[step] = progress.add_task(harmless(step), total=None)
            description = harmless(f"{step}, {detail}" if detail else step)
            progress.update(bars[step], completed=done, total=total, description=description)

        yield bar


@contextmanager
def errors_as_sentences(home: Callable[[], Path]) -> Iterator[None]:
    """End the process with the error's sentence and exit status; an unexpected error also writes a file for a bug report."""
    try:
        yield
        sys.stdout.flush()
    except SentimentError as error:
        _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        _fail("Interrupted. What was committed stays; run the same command again to go on.", 130)
    except SystemExit as end:
        # Typer turns a broken pipe into an exit of its own, and flushing the rest may break again here.
        if _is_broken_pipe(end.__context__) or not _can_flush():
            _end_quietly()
        raise
    except Exception as error:
        if _is_broken_pipe(error):
            _end_quietly()
        if isinstance(error, PermissionError):
            _fail(_not_permitted(error), HomeError.exit_status)
        _fail(f"{_unexpected(error)}{_keep_trace(home)}", 1)


def open_standard_streams() -> None:
    """Make standard streams safe to write to, however the command is started.

    A closed stream becomes /dev/null, so that no other file gets its number. Characters that the terminal's encoding lacks are
    printed as \\x… or \\u….
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest number that is free: this one.
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def allow_open_files() -> None:
    """Let this process and its children open as many files as the system lets them.

    Raises:
        HomeError: that is too few for a command and Prefect's server.
    """
    most, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if highest == resource.RLIM_INFINITY else min(MANY_FILES, highest)
    if most != resource.RLIM_INFINITY and most < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, highest))
            most = wanted
    if most != resource.RLIM_INFINITY and most < FEWEST_FILES:
        raise HomeError(f"This process may open {most} files, and needs {FEWEST_FILES}. Allow more: ulimit -n 1024")


def _is_broken_pipe(error: BaseException | None) -> bool:
    # polars reports it by text, without an errno.
    return isinstance(error, OSError) and (error.errno == errno.EPIPE or "Broken pipe" in str(error))


def _can_flush() -> bool:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return False
    return True


def _end_quietly() -> NoReturn:
    """The reader, such as `head`, has seen enough."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    raise SystemExit(0) from None


def _not_permitted(error: PermissionError) -> str:
    path = error.filename or "A file"
    owner = ""
    with suppress(OSError, KeyError, TypeError):
        owner = f" It belongs to {Path(path).owner()}."
    return (
        f"{path} may not be read or written by this user ({error.strerror or error}).{owner} Run this as the user that owns "
        "the home, or share the home by a group: see `Several people work in one home` in docs/operating.md. "
        "What was committed stays."
    )


def _unexpected(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "No space left" in text or "disk is full" in text:
        return "The disk is full. What was committed stays: free some space and run it again."
    return (
        f"This should not have happened: {type(error).__name__}: {text[:300]}. What was committed stays; run it again."
    )


def _keep_trace(home: Callable[[], Path]) -> str:
    try:
        path = home() / "logs" / f"error-{datetime.now(UTC):%Y%m%dT%H%M%S}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc())
    except (OSError, SentimentError):
        return ""
    return f" Details for a report are in {path}."


def _fail(message: str, status: int) -> None:
    notes.print("[bold red]error:[/] ", end="")
    notes.print(message, markup=False)
    raise SystemExit(status)


def plain(value: Any) -> Any:
    """A value that JSON lacks, as one that it has."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal):
        return _number(value)
    return str(value)


def _number(value: Decimal) -> int | float | str:
    """A number of JSON if that is the same number; else its digits as text."""
    if value == (whole := int(value)):
        return whole
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def _shown(value: Any, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if column.endswith(("_id", "version")) else f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 100 else f"{value:,.1f}"
    if isinstance(value, datetime):
        return f"{value.astimezone() if value.tzinfo else value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | dict):
        value = json_text(value)
    return harmless(str(value).replace("\n", " ").replace("\t", " "))
