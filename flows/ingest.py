"""Flow `ingest`: new files into `tweets`, bad rows into `rejected_rows`; runs every 15 minutes and when a file lands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import BaseModel, Field

from flows.artifacts import ingest_markdown
from flows.events import ROWS_LOADED
from flows.progress import Step
from flows.run_record import AsOf, is_busy, recorded_run, say_waiting
from sentiment.errors import InputError, NotReadyError
from sentiment.ingest.inbox import find_inbox_files, is_abandoned, refuse_file
from sentiment.ingest.load import IngestReport, ingest_file
from sentiment.settings import open_home


class IngestOptions(BaseModel):
    """What to load, and how."""

    paths: list[str] = Field(
        default=[],
        description="Files to load: CSV as Sentiment140 (plain, .gz, .zst), Parquet, NDJSON. Empty: new files of the inbox.",
    )
    gold: str | None = Field(
        default=None,
        pattern=r"^[\w.-]+$",
        description="Name of a hand-labelled set to load into instead of tweets; it evaluates and never trains.",
    )
    label_by_emoticon: bool = Field(
        default=False, description="Label tweets without a label by their emoticons, and take these out of the text."
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
        description="Column by which rows grow; `:watermark` in the query stands for its greatest value so far.",
    )
    as_of: AsOf = None


@dataclass(frozen=True)
class IngestSummary:
    """What became of each file, and what could not be read."""

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
    with recorded_run("ingest", options.as_of) as run:
        if options.source_url is not None:
            summary.files.append(load_query(options))
        for path in paths_to_load(options):
            try:
                summary.files.append(load_file(path, options.gold, options.label_by_emoticon))
            except InputError as error:
                is_of_inbox = not options.paths and path.exists()
                if isinstance(error, NotReadyError) and not (is_of_inbox and is_abandoned(path)):
                    summary.files.append(IngestReport(str(path), "waiting", note=str(error)))
                    continue
                ended = " Nothing has written to it for an hour: the transfer broke off."
                reason = f"{error}{ended if isinstance(error, NotReadyError) else ''}"
                summary.errors.append(reason)
                if is_of_inbox:
                    refuse_file(home, path, reason)
        run.count_rows = sum(report.count_lines for report in summary.files)
        run.outcome = f"{summary.count_loaded:,} new tweets from {len(summary.files)} file(s)"
    create_markdown_artifact(ingest_markdown(summary.files), key="ingest", description="What became of each file")
    if summary.count_loaded and options.gold is None:
        emit_event(ROWS_LOADED, {"prefect.resource.id": "sentiment.tweets"}, payload={"count": summary.count_loaded})
    if summary.errors:
        advice = "" if options.paths else "\nIt is not tried again until it changes; by hand: sentiment ingest PATH"
        raise InputError("\n".join(summary.errors) + advice)
    return summary


def paths_to_load(options: IngestOptions) -> Iterator[Path]:
    """The paths given; or, unless a database is read, those of the inbox, looked for until nothing new has landed."""
    if options.paths or options.source_url is not None:
        yield from map(Path, options.paths)
        return
    home = open_home(say_waiting)
    given: set[Path] = set()
    while new := [path for path in find_inbox_files(home) if path not in given]:
        given.update(new)
        yield from new


@task(task_run_name="load {path.name}", retries=3, retry_delay_seconds=10, retry_condition_fn=is_busy)
def load_file(path: Path, gold: str | None, label_by_emoticon: bool) -> IngestReport:
    """Load one file in one transaction."""
    home = open_home(say_waiting)
    step = Step(f"read {path.name}")
    report = ingest_file(
        home,
        path,
        gold_set=gold,
        label_by_emoticon=label_by_emoticon,
        on_progress=step,
    )
    get_run_logger().info("%s: %s", path, report)
    return report


@task(name="load query", retries=3, retry_delay_seconds=10, retry_condition_fn=is_busy)
def load_query(options: IngestOptions) -> IngestReport:
    """Load what a query gives, from where its last run ended."""
    from sentiment.publish import ingest_query

    assert options.source_url is not None
    assert options.source_query is not None
    home = open_home(say_waiting)
    return ingest_query(
        home,
        options.source_url,
        options.source_query,
        watermark=options.watermark,
        gold_set=options.gold,
        label_by_emoticon=options.label_by_emoticon,
        on_progress=Step("read query"),
    )
