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
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

import polars as pl

from sentiment import clock
from sentiment import text as rules
from sentiment.forgotten import load_forgotten
from sentiment.readers import REJECTS_SCHEMA, Chunk, fingerprint, read_chunks
from sentiment.settings import Home, Settings
from sentiment.subsets import split_of
from sentiment.warehouse import Warehouse, remove_unfinished_file, writer

T = TypeVar("T")

TEXT_MISMATCH = "text_mismatch"
REPEATED_ROWS = 200_000


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
    settings: Settings,
    path: Path,
    *,
    recorded_as: str | None = None,
    gold_set: str | None = None,
    label_by_emoticon: bool = False,
    on_progress: Callable[[int], None] | None = None,
    on_wait: Callable[[str], None] | None = None,
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
    with writer(home, settings, on_wait) as warehouse:
        earlier = warehouse.frame("steps/select_file_contents", path=str(path), **way)
    content = fingerprint(path, earlier["count_bytes"].to_list())
    status = path.stat()
    with writer(home, settings, on_wait) as warehouse:
        if (known := warehouse.run("steps/select_file", file_id=content.sha256, **way).fetchone()) is not None:
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
        warehouse.run("steps/set_one_thread")
        if gold_set is None:
            merger = TweetMerger(warehouse, content.sha256, started_at, label_by_emoticon)
        else:
            merger = GoldMerger(warehouse, content.sha256, started_at, gold_set)
        # Two transactions: an update of rows that the same one brought would make DuckDB write all of them anew. Between
        # them the file is marked as unfinished, and whoever opens the warehouse next would remove its rows.
        with _all_or_nothing(warehouse):
            with warehouse.transaction():
                warehouse.run("steps/insert_unfinished_file", **merger.stamp)
                for prepared in _read_ahead(map(merger.prepare, _read_ahead(chunks))):
                    merger.merge(prepared)
                    if on_progress is not None:
                        on_progress(merger.count_lines)
            with warehouse.transaction():
                merger.finish()
                warehouse.run(
                    "steps/insert_ingest_file",
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
                warehouse.run("steps/delete_unfinished_file")
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


@dataclass(frozen=True)
class Prepared:
    """One block, parsed and keyed, ready to be merged."""

    records: pl.DataFrame
    rejects: pl.DataFrame
    count_lines: int
    raw_line: Callable[[int], tuple[bytes, int]]


class TweetMerger:
    """Merges blocks of one file into `tweets`, inside the caller's transaction."""

    def __init__(self, warehouse: Warehouse, file_id: str, ingested_at: datetime, label_by_emoticon: bool) -> None:
        self.warehouse = warehouse
        self.stamp = {"file_id": file_id, "ingested_at": ingested_at}
        self.label_by_emoticon = label_by_emoticon
        self.count_lines = self.count_loaded = self.count_duplicate = self.count_repeated = 0
        self.rejected: Counter[str] = Counter()
        warehouse.run("steps/create_lines_laid_aside")

    def prepare(self, chunk: Chunk) -> Prepared:
        """Label by emoticon where asked for, and add label source, text key and split; touches no table."""
        records = chunk.records.with_columns(
            label_source=pl.when(pl.col("label").is_not_null()).then(pl.lit("file")),
            has_label_conflict=pl.lit(False),
        )
        if self.label_by_emoticon:
            records = _label_by_emoticon(records)
        key = rules.text_key(records["text"])
        return Prepared(
            records.with_columns(text_key=key, split=split_of(key)), chunk.rejects, chunk.count_lines, chunk.raw_line
        )

    def merge(self, prepared: Prepared) -> None:
        """Append what is new, and lay aside what repeats an id until the file is through."""
        records = prepared.records
        ids = records["tweet_id"]
        known = self.warehouse.load("steps/select_known_ids", ids.to_frame(), least=ids.min(), greatest=ids.max())
        is_new = ~pl.col("tweet_id").is_in(known["tweet_id"].implode()) & pl.col("tweet_id").is_first_distinct()
        new = records.filter(is_new)
        self.warehouse.load("steps/insert_tweets", new, **self.stamp)
        self.count_loaded += len(new)
        self.count_lines += prepared.count_lines
        if len(new) < len(records):
            repeated = records.filter(~is_new)
            raw = [prepared.raw_line(number) for number in repeated["line_number"]]
            self.warehouse.load(
                "steps/insert_repeated_lines",
                repeated.with_columns(
                    raw_line=pl.Series([line for line, _ in raw], dtype=pl.Binary),
                    count_bytes=pl.Series([count for _, count in raw], dtype=pl.Int64),
                ),
            )
            self.count_repeated += len(repeated)
        keep_rejects(self, prepared.rejects)

    def finish(self) -> None:
        """Merge the lines that repeat an id, some hundred thousand at a time."""
        parts = -(-self.count_repeated // REPEATED_ROWS)
        for part in range(parts):
            repeated = self.warehouse.frame("steps/select_repeated_lines", parts=parts, part=part)
            existing = self.warehouse.load("steps/select_known_tweets", repeated.select("tweet_id"))
            merged, mismatched = merge_known(existing, repeated)
            changed = merged.join(existing, on=existing.columns, how="anti", nulls_equal=True)
            if len(changed):
                self.warehouse.load("steps/update_tweets", changed)
            rejects = mismatched.with_columns(reason=pl.lit(TEXT_MISMATCH)).select(REJECTS_SCHEMA.names())
            keep_rejects(self, rejects)
            self.count_duplicate += len(repeated) - len(rejects)
        self.warehouse.run("steps/insert_rejected_rows", file_id=self.stamp["file_id"])


class GoldMerger:
    """Merges blocks of one file into a set of `gold_tweets`, inside the caller's transaction."""

    def __init__(self, warehouse: Warehouse, file_id: str, ingested_at: datetime, gold_set: str) -> None:
        self.warehouse = warehouse
        self.stamp = {"file_id": file_id, "ingested_at": ingested_at}
        self.gold_set = gold_set
        self.count_lines = self.count_loaded = self.count_duplicate = 0
        self.rejected: Counter[str] = Counter()
        warehouse.run("steps/create_lines_laid_aside")

    def prepare(self, chunk: Chunk) -> Prepared:
        """Add the text key; touches no table."""
        records = chunk.records.with_columns(text_key=rules.text_key(chunk.records["text"]))
        return Prepared(records, chunk.rejects, chunk.count_lines, chunk.raw_line)

    def merge(self, prepared: Prepared) -> None:
        """Write one block: a tweet is known by its text, and an id by the first text that came with it."""
        records = prepared.records.unique(["tweet_id", "text"], keep="first", maintain_order=True)
        known = self.warehouse.frame("steps/select_gold_set", gold_set=self.gold_set)
        records = records.join(known, on=["tweet_id", "text"], how="anti", nulls_equal=True)
        has_other_text = pl.col("tweet_id").is_not_null() & (
            pl.col("tweet_id").is_in(known["tweet_id"].drop_nulls().implode()) | ~pl.col("tweet_id").is_first_distinct()
        )
        mismatched = records.filter(has_other_text)
        new = records.filter(~has_other_text)
        self.warehouse.load("steps/insert_gold_tweets", new, gold_set=self.gold_set, **self.stamp)
        rows = [(number, TEXT_MISMATCH, *prepared.raw_line(number)) for number in mismatched["line_number"]]
        rejects = pl.concat([prepared.rejects, pl.DataFrame(rows, schema=REJECTS_SCHEMA, orient="row")])
        keep_rejects(self, rejects)
        self.count_loaded += len(new)
        self.count_duplicate += prepared.count_lines - len(new) - len(rejects)
        self.count_lines += prepared.count_lines

    def finish(self) -> None:
        """Write the rejected rows."""
        self.warehouse.run("steps/insert_rejected_rows", file_id=self.stamp["file_id"])


def keep_rejects(merger: TweetMerger | GoldMerger, rejects: pl.DataFrame) -> None:
    """Lay rejected rows aside until the file is through, and count them by reason."""
    if len(rejects):
        merger.warehouse.load("steps/insert_rejected_lines", rejects)
        merger.rejected.update(rejects["reason"].to_list())


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


def merge_known(existing: pl.DataFrame, incoming: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Merge what several sources say of the same tweets; the result does not depend on their order.

    Args:
        existing: rows of `tweets`, one an id.
        incoming: further rows, several an id perhaps, with a `line_number`.

    Returns:
        merged: one row an id, with the columns of `existing` and `line_number` (0 where it was there already);
        mismatched: the incoming rows whose text is not the one that the id had first.
    """
    columns = [*existing.columns, "line_number"]
    rows = pl.concat(
        [existing.with_columns(line_number=pl.lit(0, dtype=pl.Int64)).select(columns), incoming.select(columns)]
    ).sort("tweet_id", "line_number")
    rows = rows.with_columns(source_text=_source_texts(rows))
    is_same = pl.col("source_text") == pl.col("source_text").first().over("tweet_id")
    mismatched = incoming.join(rows.filter(~is_same), on=["tweet_id", "line_number"], how="semi")
    labels = pl.col("label").drop_nulls()
    is_conflict = pl.col("has_label_conflict").any() | (labels.n_unique() > 1)
    merged = (
        rows.filter(is_same)
        .group_by("tweet_id", maintain_order=True)
        .agg(
            pl.col("posted_at").min(),
            pl.col("user_name").min(),
            pl.col("query").min(),
            # Sources agree on the text but for an emoticon that became the label: the shorter one is without it.
            pl.col("text").sort_by(pl.col("text").str.len_bytes(), "text").first(),
            pl.col("raw_text").drop_nulls().sort().first(),
            label=pl.when(~is_conflict).then(labels.first()),
            # 'file' sorts after 'emoticon': a label that a file states outranks one that was derived.
            label_source=pl.when(~is_conflict).then(pl.col("label_source").max()),
            has_label_conflict=is_conflict,
            text_key=pl.col("text_key").first(),
            line_number=pl.col("line_number").first(),
        )
    )
    return merged, mismatched


def _label_by_emoticon(records: pl.DataFrame) -> pl.DataFrame:
    texts, labels = rules.label_by_emoticon(records["text"])
    is_labelled = pl.col("label").is_null() & pl.col("emoticon_label").is_not_null()
    return (
        records.with_columns(stripped=texts, emoticon_label=labels)
        .with_columns(
            text=pl.when(is_labelled).then("stripped").otherwise("text"),
            raw_text=pl.when(is_labelled)
            .then(pl.coalesce("raw_text", pl.col("text").cast(pl.Binary)))
            .otherwise("raw_text"),
            label=pl.when(is_labelled).then("emoticon_label").otherwise("label"),
            label_source=pl.when(is_labelled).then(pl.lit("emoticon")).otherwise("label_source"),
        )
        .drop("stripped", "emoticon_label")
    )


def _source_texts(rows: pl.DataFrame) -> pl.Series:
    """The texts as their sources had them: before an emoticon was taken as the label."""
    has_raw = rows["raw_text"].is_not_null()
    if not has_raw.any():
        return rows["text"]
    decoded = pl.Series([None if raw is None else rules.decode(raw) for raw in rows["raw_text"]], dtype=pl.String)
    return rules.resolve_entities(decoded.fill_null("")).zip_with(has_raw, rows["text"])


def _read_ahead(items: Iterable[T]) -> Iterator[T]:
    """Make the next item in a thread while the last one is used: parsing, keys and writing overlap."""
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        pending = pool.submit(next, iterator, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, iterator, None)
            yield item
