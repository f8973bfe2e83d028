"""From a file to the tables: every record is loaded, counted as a duplicate, or kept as rejected; or nothing happened.

In three steps. `plan`: what the file is, how it is read, whether it is known or has grown. `load`: its rows, appended
block by block, so that memory does not grow with the file; what a killed run has written of a file is removed before
anybody sees it. `account`: lines whose id is there already are merged by `merge_known`, whose rules do not depend on
the order of files, and the file's row is written, unless what came out cannot be right: then all of it is taken back
and the file is refused.

- posting time, user and query: the smallest value that any source gives;
- label: the one that all sources agree on; once two disagree, none for good (`has_label_conflict`);
- text: an id that comes back with another text is rejected; one whose emoticon was taken as its label keeps the text
  without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sentiment import clock
from sentiment.errors import RefusedFileError
from sentiment.ingest import plan as planning
from sentiment.ingest.blocklist import load_forgotten
from sentiment.ingest.mapping.reading import Reading, ReadingOptions, ask
from sentiment.ingest.mapping.survey import Survey
from sentiment.ingest.merge import GoldMerger, TweetMerger
from sentiment.ingest.plausible import refuse_implausible
from sentiment.ingest.read_ahead import read_ahead
from sentiment.ingest.readers.byte_stream import PIECE_BYTES, Fingerprint
from sentiment.ingest.readers.files import identify, read_batches
from sentiment.ingest.readers.form import find_form
from sentiment.ingest.readers.records import RecordMaker
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.migrations import remove_unfinished_file
from sentiment.warehouse.session import Warehouse

# Smaller than when a file is only looked at: several blocks are on their way at once.
BLOCK_BYTES = PIECE_BYTES // 2


@dataclass(frozen=True)
class IngestReport:
    """What became of one file; `reading` says what was taken for what."""

    path: str
    outcome: Literal["loaded", "grown", "unchanged", "waiting"]
    file_id: str = ""
    count_lines: int = 0
    count_loaded: int = 0
    count_duplicate: int = 0
    count_rejected: int = 0
    rejected_by_reason: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    note: str = ""
    reading: str = ""


@dataclass(frozen=True)
class Watermark:
    """How far a query has come: `value` as a string, with its type in Python."""

    source_key: str
    address: str
    watermark_type: str
    watermark: str


@dataclass(frozen=True)
class StoredObject:
    """An object of a bucket, as it was listed.

    Attributes:
        name: its address without options; `key` is bucket and key, as its file system knows it.
        pattern: the address that found it, with the options of its store.
        modified_at: when it was last changed, by the clock of the store.
        listed_at: when it was found to be so, by our clock.
    """

    name: str
    key: str
    pattern: str
    count_bytes: int
    modified_at: datetime
    listed_at: datetime

    def __str__(self) -> str:
        return self.name

    @property
    def is_settled(self) -> bool:
        """Whether a change after the listing shows: stores give times in whole seconds."""
        return self.modified_at < self.listed_at - timedelta(seconds=2)


@dataclass(frozen=True)
class Instructions:
    """What is to be kept in mind with one file.

    Attributes:
        reading: what the user says of it.
        recorded_as: takes the path's place in the account, where the file is a passing form of something else.
        max_rejected: the share of records above which the file is refused, from 0 to 1.
        watermark: written in the same transaction as the account.
        stored: the object of a bucket that the file is a copy of.
    """

    reading: ReadingOptions = field(default_factory=ReadingOptions)
    recorded_as: str | None = None
    max_rejected: float = 0.5
    watermark: Watermark | None = None
    stored: StoredObject | None = None


@dataclass(frozen=True)
class _Plan:
    """A file that has something new, and how it is read."""

    path: Path
    content: Fingerprint
    reading: Reading
    survey: Survey
    is_final: bool
    continues: dict[str, Any] | None
    way: dict[str, Any]

    @property
    def skip_bytes(self) -> int:
        return int(self.continues["count_bytes"]) if self.continues else 0


def ingest_file(
    home: Home,
    path: Path,
    *,
    gold_set: str | None = None,
    label_by_emoticon: bool = False,
    instructions: Instructions = Instructions(),
    on_progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """Load one file; the same content again, wherever it lies, changes nothing.

    Args:
        gold_set: load into this hand-labelled set instead of `tweets`.
        label_by_emoticon: label tweets without a label by their emoticons.
        on_progress: called with the number of records read so far.

    Raises:
        InputError: the file is missing, empty or of a kind that cannot be read.
        UnsureError: it can be read in more than one way.
        RefusedFileError: most of it is rejected, a class is missing, or it contradicts itself; nothing of it is kept.
        NotReadyError: it is still being written, or its last line is torn.
        HomeError: the warehouse cannot be written.
    """
    started_at, began = clock.now(), time.perf_counter()
    path = path.expanduser().absolute()
    way = {"gold_set": gold_set, "is_labelled_by_emoticon": label_by_emoticon}
    planned = _plan(home, path, way, instructions)
    if isinstance(planned, IngestReport):
        return replace(planned, seconds=time.perf_counter() - began)
    while True:
        try:
            with writer(home) as warehouse:
                merger, reading = _load(warehouse, home, planned, instructions, started_at, on_progress)
            break
        except planning.ReadingChanged as changed:
            planned = replace(planned, reading=changed.reading, is_final=True)
    return IngestReport(
        str(path),
        "grown" if planned.continues else "loaded",
        planned.content.sha256,
        merger.count_lines,
        merger.count_loaded,
        merger.count_duplicate,
        merger.rejected.total(),
        dict(sorted(merger.rejected.items())),
        time.perf_counter() - began,
        reading=reading.sentence,
    )


def _plan(home: Home, path: Path, way: dict[str, Any], instructions: Instructions) -> _Plan | IngestReport:
    """What the file is and what there is to load; a report where there is nothing."""
    options, stored = instructions.reading, instructions.stored
    with writer(home) as warehouse:
        place = str(path) if stored is None else stored.name
        earlier = warehouse.frame("steps/ingest/select_file_contents", path=place, **way)
    form = find_form(path, delimiter=options.delimiter, encoding=options.encoding)
    content = identify(path, form, earlier["count_bytes"].to_list())
    with writer(home) as warehouse:
        known = warehouse.run("steps/ingest/select_file", file_id=content.sha256, **way).fetchone()
        if known is not None:
            with warehouse.transaction():
                _remember_object(warehouse, stored, {"file_id": content.sha256, **way})
    if known is not None:
        note = f"its content was loaded already, from {known[0]}"
        if options != ReadingOptions():
            note += f"; to read it in another way, take it out first: sentiment withdraw {known[0]}"
        return IngestReport(str(path), "unchanged", content.sha256, note=note, reading=known[2] or "")
    # A file that is to be read again, after another was withdrawn, does not continue itself.
    shorter = [row for row in earlier.iter_rows(named=True) if row["file_id"] != content.sha256]
    has_grown = any(content.prefixes.get(row["count_bytes"]) == row["file_id"] for row in shorter)
    looked = planning.look_at(path, options, whole=has_grown)
    ask(path, looked.questions)
    continues = next((row for row in shorter if planning.can_continue(content, row, looked.reading)), None)
    if continues is not None:
        planning.check_growth(path, continues["reading_details"], looked.reading)
    survey = looked.survey if looked.is_whole else Survey()
    return _Plan(path, content, looked.reading, survey, looked.is_whole, continues, way)


def _load(
    warehouse: Warehouse,
    home: Home,
    planned: _Plan,
    instructions: Instructions,
    started_at: datetime,
    on_progress: Callable[[int], None] | None,
) -> tuple[TweetMerger | GoldMerger, Reading]:
    """Append the rows of a file and write its account; all of it or nothing."""
    gold_set, file_id = planned.way["gold_set"], planned.content.sha256
    batches = read_batches(
        planned.path,
        planned.reading.form,
        skip_bytes=planned.skip_bytes,
        expected=planned.content,
        block_bytes=BLOCK_BYTES,
    )
    survey = planned.survey if planned.is_final else Survey()
    watched = planning.Watched(planned.path, instructions.reading, planned.reading, survey, planned.is_final)
    maker = RecordMaker(planned.reading, gold=gold_set is not None)
    chunks = map(load_forgotten(home, warehouse).leave_out, map(maker.make, watched.watch(batches)))
    # With more threads DuckDB takes twice the processor time for these appends; the other core is parsing.
    warehouse.run("steps/warehouse/set_one_thread")
    merger: TweetMerger | GoldMerger
    if gold_set is None:
        merger = TweetMerger(warehouse, file_id, started_at, planned.way["is_labelled_by_emoticon"])
    else:
        merger = GoldMerger(warehouse, file_id, started_at, gold_set)
    # Two transactions: an update of rows that the same one brought would make DuckDB rewrite all of them. Between
    # them the file is marked as unfinished, and the next process that opens the warehouse would remove its rows.
    with _all_or_nothing(warehouse):
        with warehouse.transaction():
            warehouse.run("steps/ingest/insert_unfinished_file", **merger.stamp)
            for prepared in read_ahead(map(merger.prepare, read_ahead(chunks))):
                merger.merge(prepared)
                if on_progress is not None:
                    on_progress(merger.count_lines)
        with warehouse.transaction():
            _account(warehouse, planned, instructions, merger, started_at)
    return merger, planned.reading


def _account(
    warehouse: Warehouse,
    planned: _Plan,
    instructions: Instructions,
    merger: TweetMerger | GoldMerger,
    started_at: datetime,
) -> None:
    """Merge what repeats an id, make sure that the result can be right, and write the file's row."""
    merger.finish()
    is_said = planned.reading.is_said or instructions.reading.source is not None
    try:
        refuse_implausible(merger.tally, merger.rejected, max_rejected=instructions.max_rejected, is_said=is_said)
    except RefusedFileError as error:
        advice = f" It was read as: {planned.reading.sentence}."
        raise RefusedFileError(f"{planned.path}: {error}{advice} Nothing of it was loaded.") from error
    status, stored = planned.path.stat(), instructions.stored
    key = {"file_id": planned.content.sha256, **planned.way}
    # A file that is read again keeps what it had brought.
    count_before = warehouse.value("steps/ingest/select_loaded_before", **key) or 0
    warehouse.run("steps/ingest/delete_account", **key)
    warehouse.run("steps/ingest/insert_rejected_rows", file_id=planned.content.sha256)
    warehouse.run(
        "steps/ingest/insert_ingest_file",
        path=instructions.recorded_as or str(planned.path),
        continues_file_id=planned.continues["file_id"] if planned.continues else None,
        source=instructions.reading.source,
        reading=planned.reading.sentence,
        reading_details=planning.details_of(planned.reading),
        count_bytes=planned.content.count_bytes,
        count_disk_bytes=status.st_size,
        modified_at=datetime.fromtimestamp(status.st_mtime, UTC) if stored is None else stored.modified_at,
        count_lines=merger.count_lines,
        count_loaded=merger.count_loaded + count_before,
        count_duplicate=merger.count_duplicate - count_before,
        count_rejected=merger.rejected.total(),
        started_at=started_at,
        **key,
    )
    if instructions.watermark is not None:
        warehouse.run("steps/ingest/upsert_watermark", **vars(instructions.watermark))
    _remember_object(warehouse, stored, key)
    warehouse.run("steps/ingest/delete_unfinished_file")


def _remember_object(warehouse: Warehouse, stored: StoredObject | None, key: dict[str, Any]) -> None:
    """Note that an object was read, so that it is not fetched again; one that was just written may change unseen."""
    if stored is None or not stored.is_settled:
        return
    listed = {"name": stored.name, "count_bytes": stored.count_bytes, "modified_at": stored.modified_at}
    warehouse.run("steps/ingest/upsert_read_object", **listed, **key)


@contextmanager
def _all_or_nothing(warehouse: Warehouse) -> Iterator[None]:
    """After an error between the transactions, remove what the first one has committed."""
    try:
        yield
    except BaseException:
        # If even that fails, on a full disk, the next run does it.
        with suppress(Exception):
            remove_unfinished_file(warehouse)
        raise
