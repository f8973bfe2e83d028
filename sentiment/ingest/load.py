"""From a file to the tables: every line is loaded, counted as a duplicate, or kept as rejected; or nothing happened.

A file is read in blocks and each block is appended at once, so memory does not grow with the file; what a killed run has
written of a file is removed before anybody sees it. Lines whose id is there already are laid aside and merged at the end
by `merge_known`, whose rules do not depend on the order of files:

- posting time, user and query: the smallest value that any source gives;
- label: the one that all sources agree on; once two disagree, none for good (`has_label_conflict`);
- text: an id that comes back with another text is rejected; one whose emoticon was taken as its label keeps the text
  without it.

The 1.6 million tweets of Sentiment140 take 8 to 11 s and 1 GiB, 2.4 times a plain `read_csv` of DuckDB (`benchmarks/`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from sentiment import clock
from sentiment.ingest.blocklist import load_forgotten
from sentiment.ingest.merge import GoldMerger, TweetMerger
from sentiment.ingest.readers import fingerprint, read_chunks
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.migrations import remove_unfinished_file
from sentiment.warehouse.session import Warehouse

T = TypeVar("T")


@dataclass(frozen=True)
class IngestReport:
    """What became of one file."""

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


def ingest_file(
    home: Home,
    path: Path,
    *,
    recorded_as: str | None = None,
    gold_set: str | None = None,
    label_by_emoticon: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """Load one file; the same content again, wherever it lies, changes nothing.

    Args:
        recorded_as: stands in the account in place of the path, where the file is a passing form of something else.
        gold_set: load into this hand-labelled set instead of `tweets`.
        label_by_emoticon: label tweets without a label by their emoticons.
        on_progress: told the number of lines read so far.

    Raises:
        InputError: the file is missing, empty or of another format.
        NotReadyError: it is still being written, or its last line is torn.
        HomeError: the warehouse cannot be written.
    """
    started_at, began = clock.now(), time.perf_counter()
    path = path.expanduser().absolute()
    way = {"gold_set": gold_set, "is_labelled_by_emoticon": label_by_emoticon}
    with writer(home) as warehouse:
        earlier = warehouse.frame("steps/ingest/select_file_contents", path=str(path), **way)
    content = fingerprint(path, earlier["count_bytes"].to_list())
    status = path.stat()
    with writer(home) as warehouse:
        if (known := warehouse.run("steps/ingest/select_file", file_id=content.sha256, **way).fetchone()) is not None:
            return IngestReport(
                str(path),
                "unchanged",
                content.sha256,
                seconds=time.perf_counter() - began,
                note=f"its content was loaded already, from {known[0]}",
            )
        continued = next(
            (
                row
                for row in earlier.iter_rows(named=True)
                if content.prefixes.get(row["count_bytes"]) == row["file_id"]
            ),
            None,
        )
        skip_bytes = continued["count_bytes"] if continued else 0
        chunks = map(
            load_forgotten(home, warehouse).leave_out,
            read_chunks(path, skip_bytes=skip_bytes, gold=gold_set is not None, expected=content),
        )
        merger: TweetMerger | GoldMerger
        # With more threads DuckDB takes twice the processor time for these appends; the other core is parsing.
        warehouse.run("steps/ingest/set_one_thread")
        if gold_set is None:
            merger = TweetMerger(warehouse, content.sha256, started_at, label_by_emoticon)
        else:
            merger = GoldMerger(warehouse, content.sha256, started_at, gold_set)
        # Two transactions: an update of rows that the same one brought would make DuckDB write all of them anew. Between
        # them the file is marked as unfinished, and whoever opens the warehouse next would remove its rows.
        with _all_or_nothing(warehouse):
            with warehouse.transaction():
                warehouse.run("steps/ingest/insert_unfinished_file", **merger.stamp)
                for prepared in _read_ahead(map(merger.prepare, _read_ahead(chunks))):
                    merger.merge(prepared)
                    if on_progress is not None:
                        on_progress(merger.count_lines)
            with warehouse.transaction():
                merger.finish()
                warehouse.run(
                    "steps/ingest/insert_ingest_file",
                    file_id=content.sha256,
                    path=recorded_as or str(path),
                    continues_file_id=continued["file_id"] if continued else None,
                    count_bytes=content.count_bytes,
                    count_disk_bytes=status.st_size,
                    modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
                    count_lines=merger.count_lines,
                    count_loaded=merger.count_loaded,
                    count_duplicate=merger.count_duplicate,
                    count_rejected=merger.rejected.total(),
                    started_at=started_at,
                    **way,
                )
                warehouse.run("steps/ingest/delete_unfinished_file")
    return IngestReport(
        str(path),
        "grown" if continued else "loaded",
        content.sha256,
        merger.count_lines,
        merger.count_loaded,
        merger.count_duplicate,
        merger.rejected.total(),
        dict(sorted(merger.rejected.items())),
        time.perf_counter() - began,
    )


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


def _read_ahead(items: Iterable[T]) -> Iterator[T]:
    """Make the next item in a thread while the last one is used: parsing, keys and writing overlap."""
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        pending = pool.submit(next, iterator, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, iterator, None)
            yield item
