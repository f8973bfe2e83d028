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
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from sentiment.errors import SentimentError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]

out = Console(soft_wrap=True, highlight=False)
notes = Console(stderr=True, soft_wrap=True, highlight=False)


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


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on standard output; numbers to the right, times to the second in local time."""
    table = Table(
        title=title or None, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    for index, column in enumerate(columns):
        is_number = any(isinstance(row[index], int | float) and not isinstance(row[index], bool) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value, column) for value, column in zip(row, columns, strict=True)))
    console = out if out.is_terminal else Console(width=200, highlight=False)
    console.print(table)


def show_result(title: str, frame: Any, as_json: bool) -> None:
    """A polars frame as a table, or as a list of JSON objects."""
    if as_json:
        print_json(list(frame.iter_rows(named=True)))
    else:
        print_table(title, frame.columns, frame.rows())


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """Progress bars on a terminal; elsewhere a line for each step, so that a log stays readable.

    Yields:
        `show(step, done, total)`.
    """
    if not notes.is_terminal:
        named: set[str] = set()

        def line(step: str, done: int, total: int | None) -> None:
            if step not in named:
                named.add(step)
                notes.print(f"{step} …", markup=False)

        yield line
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=notes, transient=True) as progress:

        def bar(step: str, done: int, total: int | None) -> None:
            if step not in bars:
                for earlier in bars.values():
                    progress.stop_task(earlier)
                    progress.update(earlier, visible=False)
                bars[step] = progress.add_task(step, total=None)
            progress.update(bars[step], completed=done, total=total)

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


def _unexpected(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    if "No space left" in text or "disk is full" in text:
        return "The disk is full. What was committed stays: free some space and run it again."
    return f"This should not have happened: {type(error).__name__}: {text}. What was committed stays; run it again."


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
    # Control characters of a tweet must not reach the terminal.
    return "".join(c if c.isprintable() else "�" for c in str(value).replace("\n", " "))
