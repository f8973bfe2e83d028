"""Flow `ingest`: new files into `tweets`, bad rows into `rejected_rows`; runs every 15 minutes and when a file lands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import BaseModel, Field

from flows.artifacts import ingest_markdown, links
from flows.events import ROWS_LOADED
from flows.progress import Step
from flows.run_record import AsOf, is_busy, recorded_run, say_waiting
from sentiment.errors import InputError, NotReadyError, RefusedFileError, UnsureError
from sentiment.ingest.file_names import refuse_other_names
from sentiment.ingest.inbox import find_inbox_files, is_abandoned, refuse_file, source_of
from sentiment.ingest.load import IngestReport, Instructions, StoredObject, ingest_file
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.ingest.objects import find_new_objects, ingest_object
from sentiment.ingest.sources import watched_addresses, with_source
from sentiment.object_store import is_address
from sentiment.settings import Home, open_home

STANDARD_INPUT = "standard input"


_READING = ("columns", "labels", "id", "date_format", "time_zone", "delimiter", "encoding", "source")


class FilesForm(BaseModel):
    """Which files to load, and how they are read."""

    paths: list[str] = Field(
        default=[],
        description="Files to load: CSV, TSV, JSON, Parquet or Excel (text also .gz, .zst, .zip), or objects such as "
        "`s3://bucket/prefix/day=*/*.parquet`, of which new and changed ones are read. Empty: new files of the inbox.",
    )
    label_by_emoticon: bool = Field(
        default=False, description="Label tweets without a label by their emoticons, and take these out of the text."
    )
    columns: str | None = Field(
        default=None,
        description="Columns by role, such as `text=OriginalTweet,label=Sentiment`; roles: text, title, label, id, date, "
        "user, query, language. Empty: the file decides, for this and all that follows.",
    )
    labels: str | None = Field(
        default=None, description="What values mean: `0=negative,1=positive`; `none` for those that are no label."
    )
    id: str | None = Field(default=None, description="Column of the ids; `none`: posts are known by their content.")
    date_format: str | None = Field(
        default=None,
        description="day-first, month-first, epoch-s, epoch-ms, epoch-us, or a pattern such as `%d.%m.%Y %H:%M`.",
    )
    time_zone: str | None = Field(default=None, description="Zone of times that say none, such as Europe/Berlin.")
    delimiter: str | None = Field(default=None, description="What separates columns, such as `;` or `tab`.")
    encoding: str | None = Field(default=None, description="Encoding of text files, such as cp1251.")
    source: str | None = Field(
        default=None,
        description="Name of the source: `sources/NAME.toml` of the home says how it is read, and its ids are its own.",
    )

    def reading(self) -> ReadingOptions:
        """The parameters on how files are read."""
        return ReadingOptions(**{name: getattr(self, name) or None for name in _READING})


class IngestOptions(FilesForm):
    """What to load, and how."""

    gold: str | None = Field(
        default=None,
        pattern=r"^[\w.-]+$",
        description="Name of a hand-labelled set to load into instead of tweets; it evaluates and never trains.",
    )
    max_rejected: float = Field(
        default=0.5, ge=0, le=1, description="Share of rejected records above which a file is refused as a whole."
    )
    source_url: str | None = Field(
        default=None,
        description="SQLAlchemy address of a database to read from, without a password: that is taken from ~/.pgpass or "
        "PGPASSWORD on the worker. With it, `source_query` is loaded in place of files.",
    )
    source_query: str | None = Field(
        default=None, description="Query that gives tweet_id, text and optionally posted_at, user_name, query, label."
    )
    watermark: str | None = Field(
        default=None,
        description="Column by which rows grow; `:watermark` in the query is its greatest value so far.",
    )
    as_of: AsOf = None


@dataclass(frozen=True)
class IngestSummary:
    """The result of each file, and the errors of those that could not be read."""

    files: list[IngestReport]
    errors: list[str]

    @property
    def count_loaded(self) -> int:
        return sum(report.count_loaded for report in self.files)


def name_run() -> str:
    """Run names say what is loaded."""
    options = flow_run.parameters["options"]
    if options.source_url is not None:
        return "ingest from a database"
    paths = options.paths
    return f"ingest {', '.join(Path(path).name for path in paths[:3])}" if paths else "ingest inbox"


@flow(flow_run_name=name_run)
def ingest(options: IngestOptions = IngestOptions()) -> IngestSummary:
    """Load new files; every line becomes a tweet, counts as a duplicate, or is kept as rejected."""
    home = open_home(say_waiting)
    if (options.source_url is None) != (options.source_query is None):
        raise InputError("To read from a database, both `source_url` and `source_query` are needed; found one of them.")
    if options.source_url is not None:
        from sentiment.publish import check_address

        check_address(options.source_url)
    summary = IngestSummary([], [])
    errors: list[InputError] = []
    with recorded_run("ingest", options.as_of) as run:
        if options.source_url is not None:
            summary.files.append(load_query(options))
        for address in filter(is_address, options.paths):
            load_objects(home, address, options, summary, errors)
        for path in paths_to_load(options):
            try:
                refuse_other_names(path)  # Here, since Prefect could not keep it either.
                summary.files.append(load_file(path, options))
            except InputError as error:
                is_of_inbox = not options.paths and path.exists()
                if isinstance(error, NotReadyError) and not (is_of_inbox and is_abandoned(path)):
                    summary.files.append(IngestReport(str(path), "waiting", note=str(error)))
                    continue
                errors.append(error)
                ended = " Nothing has written to it for an hour: the transfer broke off."
                reason = f"{error}{ended if isinstance(error, NotReadyError) else ''}"
                summary.errors.append(reason)
                if path.exists() and (is_of_inbox or isinstance(error, RefusedFileError)):
                    refuse_file(home, path, reason)
        if not options.paths and options.source_url is None:
            for name, address in watched_addresses(home).items():
                watched = options.model_copy(update={"source": name})
                load_objects(home, address, watched, summary, errors, is_watched=True)
        run.count_rows = sum(report.count_lines for report in summary.files)
        run.outcome = f"{summary.count_loaded:,} new tweets from {len(summary.files)} file(s)"
    report = ingest_markdown(summary.files) + links(home, "/status")
    create_markdown_artifact(report, key="ingest", description="What became of each file")
    if summary.count_loaded and options.gold is None:
        emit_event(ROWS_LOADED, {"prefect.resource.id": "sentiment.tweets"}, payload={"count": summary.count_loaded})
    if errors:
        raise joined_error(errors, summary.errors, is_inbox=not options.paths)
    return summary


def joined_error(errors: list[InputError], sentences: list[str], *, is_inbox: bool) -> InputError:
    """One error for all files that were not loaded, of their common class."""
    advice = "\nIt is not tried again until it changes; by hand: sentiment ingest PATH" if is_inbox else ""
    message = "\n".join(sentences) + advice
    unsure = [error for error in errors if isinstance(error, UnsureError)]
    if unsure:
        return UnsureError(message, unsure[0].questions if len(errors) == 1 else ())
    is_refused = all(isinstance(error, RefusedFileError) for error in errors)
    return RefusedFileError(message) if is_refused else InputError(message)


def paths_to_load(options: IngestOptions) -> Iterator[Path]:
    """The given paths; without any and without a database, the inbox, listed again until nothing new has landed."""
    if options.paths or options.source_url is not None:
        yield from (Path(path) for path in options.paths if not is_address(path))
        return
    home = open_home(say_waiting)
    given: set[Path] = set()
    while new := [path for path in find_inbox_files(home) if path not in given]:
        given.update(new)
        yield from new


def load_objects(
    home: Home,
    address: str,
    options: IngestOptions,
    summary: IngestSummary,
    errors: list[InputError],
    *,
    is_watched: bool = False,
) -> None:
    """Load what is new or changed of the objects that an address names; an error in one does not keep the others out.

    Args:
        is_watched: a source says so, and nobody has asked: what cannot be loaded gives its reason once.
    """
    try:
        found = find_new_objects(
            home,
            address,
            gold_set=options.gold,
            label_by_emoticon=options.label_by_emoticon,
            source=options.source if is_watched else None,
        )
    except InputError as error:
        errors.append(error)
        summary.errors.append(str(error))
        return
    if found.count_unchanged and not is_watched:
        note = f"{found.count_unchanged:,} object(s) were read before and have not changed"
        summary.files.append(IngestReport(address.partition("?")[0], "unchanged", note=note))
    for stored in found.objects:
        try:
            summary.files.append(load_object(stored, options))
        except InputError as error:
            if isinstance(error, NotReadyError) and not (is_watched and stored.is_settled):
                summary.files.append(IngestReport(stored.name, "waiting", note=str(error)))
                continue
            errors.append(error)
            summary.errors.append(str(error))
            if is_watched or isinstance(error, RefusedFileError):
                refuse_file(home, stored, str(error))


@task(task_run_name="load {stored.name}", retries=3, retry_delay_seconds=10, retry_condition_fn=is_busy)
def load_object(stored: StoredObject, options: IngestOptions) -> IngestReport:
    """Fetch one object and load it in one transaction."""
    home = open_home(say_waiting)
    report = ingest_object(
        home,
        stored,
        gold_set=options.gold,
        label_by_emoticon=options.label_by_emoticon,
        instructions=Instructions(reading=with_source(home, options.reading()), max_rejected=options.max_rejected),
        on_progress=Step(f"read {Path(stored.key).name}"),
    )
    get_run_logger().info("%s: %s", stored.name, report)
    return report


@task(task_run_name="load {path.name}", retries=3, retry_delay_seconds=10, retry_condition_fn=is_busy)
def load_file(path: Path, options: IngestOptions) -> IngestReport:
    """Load one file in one transaction."""
    home = open_home(say_waiting)
    reading = options.reading()
    if reading.source is None and (name := source_of(home, path)) is not None:
        reading = replace(reading, source=name)
    is_spooled = path.parent == home.work
    report = ingest_file(
        home,
        path,
        gold_set=options.gold,
        label_by_emoticon=options.label_by_emoticon,
        instructions=Instructions(
            reading=with_source(home, reading),
            recorded_as=STANDARD_INPUT if is_spooled else None,
            max_rejected=options.max_rejected,
        ),
        on_progress=Step(f"read {path.name}"),
    )
    if is_spooled:
        report = replace(report, path=STANDARD_INPUT)
    get_run_logger().info("%s: %s", path, report)
    return report


@task(
    name="load query",
    task_run_name="load what the query gives",
    retries=3,
    retry_delay_seconds=10,
    retry_condition_fn=is_busy,
)
def load_query(options: IngestOptions) -> IngestReport:
    """Load the result of a query, from the watermark of its last run."""
    from sentiment.ingest.sql_query import SourceQuery, ingest_query

    assert options.source_url is not None
    assert options.source_query is not None
    return ingest_query(
        open_home(say_waiting),
        SourceQuery(options.source_url, options.source_query, options.watermark),
        gold_set=options.gold,
        label_by_emoticon=options.label_by_emoticon,
        reading=options.reading(),
        on_progress=Step("read query"),
    )
