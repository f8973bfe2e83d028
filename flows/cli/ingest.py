"""The commands that bring posts in: `inspect` says what a file is, `ingest` loads it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import Emoticons, Gold, takes_reading_options
from flows.cli.run import check_paths, run_flow
from flows.cli.terminal import AsJson, notes, out, print_json, print_table, say_waiting
from sentiment.errors import InputError, UnsureError
from sentiment.markdown import percent
from sentiment.object_store import is_address
from sentiment.settings import Home, load_settings, open_home

if TYPE_CHECKING:
    from sentiment.ingest.mapping.reading import ReadingOptions

STANDARD_INPUT = "-"


def check_source(
    source_url: str | None, query: str | None, watermark: str | None, paths: list[str] | None
) -> dict[str, str | None]:
    """Options of `ingest` for a database, refused before anything is started.

    Raises:
        InputError: one of the two is missing, files are named as well, or the address holds a password.
    """
    if source_url is None and query is None and watermark is None:
        return {}
    if source_url is None or query is None:
        raise InputError("To read from a database, give both --source-url and --query.")
    if paths:
        raise InputError("Expected either files or --source-url, found both.")
    from sentiment.publish import check_address

    check_address(source_url)
    return {"source_url": source_url, "source_query": query, "watermark": watermark}


@takes_reading_options
def inspect(
    reading: ReadingOptions,
    file: Annotated[
        str,
        typer.Argument(help="Any file of posts, or an object such as s3://bucket/posts.csv; - reads standard input."),
    ],
    save: Annotated[
        str | None, typer.Option(metavar="NAME", help="Keep how it is read as a source of this name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how a file would be read, without loading it: columns, labels, times, open questions.

    Example: sentiment inspect reviews.csv --save reviews
    """
    from sentiment.ingest.inspection import inspect_file
    from sentiment.ingest.sources import save_source, with_source

    settings = load_settings()
    with _as_file(file) as (path, name):
        reading = with_source(Home(settings.home, settings), reading)
        found = inspect_file(path, reading)
        while found.questions and save is not None and sys.stdin.isatty() and not as_json:
            reading = _answered(UnsureError("", tuple(found.questions)), reading)
            found = inspect_file(path, reading)
    found = replace(found, path=name)
    if as_json:
        print_json(found.as_json())
    else:
        _show_inspection(found)
    if save is not None:
        if found.questions:
            raise UnsureError(
                f"{file} was not saved as a source: {' '.join(map(str, found.questions))}", tuple(found.questions)
            )
        watched = file if is_address(file) and file.partition("?")[0] != name else None
        saved = save_source(open_home(), save, found.reading, Path(name), watched)
        also = f" The objects of {watched} are read next to the inbox." if watched else ""
        notes.print(
            f"Saved: {saved}. Files in inbox/{save}/ are read by it, and `sentiment ingest FILE --source {save}`.{also}",
            markup=False,
        )


@contextmanager
def _as_file(name: str) -> Iterator[tuple[Path, str]]:
    """A file, standard input or an object as a path that can be read, and its name for people."""
    if name == STANDARD_INPUT:
        path = _spooled()
        try:
            yield path, str(path)
        finally:
            path.unlink(missing_ok=True)
    elif is_address(name):
        from sentiment.ingest.objects import fetched, named_in_errors, open_bucket

        found = open_bucket(name).find()
        if len(found) > 1:
            notes.print(f"{len(found):,} objects match; this is the first.", markup=False)
        with fetched(open_home(), found[0]) as path, named_in_errors(path, found[0].name):
            yield path, found[0].name
    else:
        (checked,) = check_paths([name])
        yield Path(checked), checked


def _show_inspection(found: Any) -> None:
    reading = found.reading
    out.print(f"{found.path}: {reading.form.name}", markup=False)
    rows = f"{found.count_rows:,} records"
    out.print(
        rows + (f", {found.count_unreadable:,} more that cannot be read" if found.count_unreadable else ""),
        markup=False,
    )
    table = [
        [c["column"], c["taken_for"] or "left out", c["because"], percent(c["share_given"], 0), c["example"]]
        for c in found.columns
    ]
    print_table("columns", ["column", "taken for", "because", "given", "example"], table)
    if reading.scheme is not None:
        counts = ", ".join(f"{value} ({count:,})" for value, count in list(found.labels.items())[:12])
        out.print(f"labels: {reading.scheme.sentence}. In the file: {counts}", markup=False)
    elif found.labels:
        out.print(f"labels: {', '.join(f'{v} ({c:,})' for v, c in list(found.labels.items())[:12])}", markup=False)
    else:
        out.print("labels: none", markup=False)
    if reading.times is not None:
        out.print(f"times: {reading.times.sentence}; from {found.earliest} to {found.latest}", markup=False)
    if found.languages:
        out.print(
            f"languages: {', '.join(f'{name} ({count:,})' for name, count in found.languages.items())}", markup=False
        )
    ids = {
        "numbers": "numbers",
        "strings": "strings, kept in source_id",
        "content": "none: posts are known by their content",
    }
    out.print(
        f"ids: {ids[reading.ids]}" + (f", of the source {reading.namespace}" if reading.namespace else ""), markup=False
    )
    if found.rows:
        shown = ["tweet_id", "posted_at", "user_name", "text", "label"]
        print_table("the first rows, as they would go in", shown, [[row[name] for name in shown] for row in found.rows])
    for reason, count in found.rejected.items():
        out.print(f"rejected at the beginning: {count:,} for {reason}", markup=False)
    for question in found.questions:
        out.print(f"Not sure: {question}", markup=False)


@takes_reading_options
def ingest(
    reading: ReadingOptions,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="CSV, TSV, JSON, Parquet or Excel (text also .gz, .zst, .zip), or 's3://bucket/prefix/day=*/*.parquet'; "
            "- reads standard input; none: the inbox."
        ),
    ] = None,
    gold: Gold = None,
    label_by_emoticon: Emoticons = False,
    max_rejected: Annotated[
        float, typer.Option(min=0, max=1, help="Share of rejected records above which a file is refused.")
    ] = 0.5,
    source_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Read from this database: SQLAlchemy address without a password.")
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="What to read there: tweet_id, text, posted_at, user_name, query, label."),
    ] = None,
    watermark: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Fills :watermark in the query with its greatest value so far.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load files of posts, or the result of a query; every record is loaded, a duplicate, or kept as rejected.

    Example: sentiment ingest reviews.csv --columns text=body,label=stars
    """
    given = [path for path in paths or [] if path != STANDARD_INPUT]
    names = check_paths(given)
    reads_from = check_source(source_url, query, watermark, paths)
    spool = _spooled() if STANDARD_INPUT in (paths or []) else None
    if spool is not None:
        names.append(str(spool))
    try:
        others = {"gold": gold, "label_by_emoticon": label_by_emoticon, "max_rejected": max_rejected, **reads_from}
        summary = asking(lambda reading: _run(names, reading, others), reading, as_json)
    finally:
        if spool is not None:
            spool.unlink(missing_ok=True)
    show_ingest(summary, as_json)


def _run(names: list[str], reading: ReadingOptions, others: dict[str, Any]) -> Any:
    def start(orchestration: Any) -> Any:
        from flows.ingest import IngestOptions
        from flows.ingest import ingest as flow

        return orchestration.run(flow, IngestOptions(paths=names, **as_parameters(reading), **others))

    return run_flow(start)


def as_parameters(reading: ReadingOptions) -> dict[str, Any]:
    """Options of a command as the parameters of a flow that reads files."""
    return {name: value for name, value in vars(reading).items() if name != "ids_of"}


def asking(start: Callable[[ReadingOptions], Any], reading: ReadingOptions, as_json: bool) -> Any:
    """Run what reads files; on a terminal, ask what they leave open and run it again with the answers.

    Raises:
        UnsureError: something is open and nobody can be asked.
    """
    while True:
        try:
            return start(reading)
        except UnsureError as error:
            if as_json or not error.questions or not sys.stdin.isatty():
                raise
            reading = _answered(error, reading)


def _spooled() -> Path:
    """Standard input as a file in the home, removed after reading."""
    home = open_home()
    target = home.work / f"standard-input-{os.getpid()}"
    with target.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return target


def _answered(error: UnsureError, options: ReadingOptions) -> ReadingOptions:
    """Ask on the terminal what a file leaves open, and return the options with the answers."""
    if str(error):
        notes.print(str(error), markup=False)
    for question in error.questions:
        notes.print(f"\n{question.sentence}", markup=False)
        for number, (value, meaning) in enumerate(question.choices, start=1):
            notes.print(f"  {number}  {meaning} ({value})", markup=False)
        said = typer.prompt("Number, or the value to use", err=True).strip()
        with suppress(ValueError, IndexError):
            said = question.choices[int(said) - 1][0] if int(said) > 0 else said
        before = getattr(options, question.about)
        if question.about == "columns" and before:
            said = f"{before},{said}"
        options = replace(options, **{question.about: said})
    return options


def show_ingest(summary: Any, as_json: bool) -> None:
    """Show the result of each file; exit with 1 if one was left for later."""
    if as_json:
        print_json({"files": summary.files})
    else:
        columns = ["file", "outcome", "lines", "loaded", "duplicate", "rejected", "seconds"]
        rows = [
            [
                Path(r.path).name,
                r.outcome,
                r.count_lines,
                r.count_loaded,
                r.count_duplicate,
                r.count_rejected,
                r.seconds,
            ]
            for r in summary.files
        ]
        print_table("", columns, rows)
        for report in summary.files:
            if report.reading:
                notes.print(f"{Path(report.path).name}: {report.reading}", markup=False)
            if report.note:
                notes.print(f"{Path(report.path).name}: {report.note}", markup=False)
            for reason, count in report.rejected_by_reason.items():
                notes.print(f"{Path(report.path).name}: {count:,} rejected: {reason}", markup=False)
        if not summary.files:
            notes.print("No new files in the inbox.")
    if any(report.outcome == "waiting" for report in summary.files):
        raise typer.Exit(1)


def withdraw(
    file: Annotated[str, typer.Argument(help="Path of a file that was loaded, or the first digits of its file_id.")],
    as_json: AsJson = False,
) -> None:
    """Take a file out that was loaded by mistake or read wrongly, with all that followed from it.

    Example: sentiment withdraw reviews.csv
    """
    from sentiment.maintenance.withdrawal import withdraw as take_out

    report = take_out(open_home(say_waiting), file)
    if as_json:
        print_json(report)
        return
    what = f"{report.count_tweets:,} tweets" + (
        f" and {report.count_gold:,} hand-labelled ones" if report.count_gold else ""
    )
    out.print(f"{', '.join(report.paths)}: {what} taken out, with their predictions.", markup=False)
    if report.count_kept:
        out.print(f"{report.count_kept:,} tweets stay, since other files have them, as those say.", markup=False)
    for version, count in report.rows_learnt.items():
        notes.print(
            f"Version {version} was trained on {count:,} of them; the next `sentiment retrain` does without.",
            markup=False,
        )
    for path in report.read_again:
        notes.print(
            f"Rows of {path} had been rejected because of it. Read it again: sentiment ingest {path}", markup=False
        )
