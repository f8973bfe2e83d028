"""Merges blocks of a file into `tweets` or `gold_tweets`: new rows, duplicates, conflicts of labels, rejected lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from sentiment import clock
from sentiment.ingest import text as rules
from sentiment.ingest.identity import split_of, text_key
from sentiment.ingest.plausible import Tally
from sentiment.ingest.readers.records import REJECTS_SCHEMA, Chunk
from sentiment.ingest.readers.reject_reasons import TEXT_MISMATCH
from sentiment.warehouse.session import Warehouse

REPEATED_ROWS = 200_000
STATEMENT = (
    *("tweet_id", "posted_at", "user_name", "query", "text", "raw_text", "label", "label_source", "has_label_conflict"),
    *("text_key", "file_id", "stated_at", "is_first"),
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
        self.tally = Tally()
        warehouse.run("steps/ingest/create_lines_laid_aside")

    def prepare(self, chunk: Chunk) -> Prepared:
        """Label by emoticon where asked for, and add label source, text key and split; touches no table."""
        records = chunk.records.with_columns(
            label_source=pl.when(pl.col("label").is_not_null()).then(pl.lit("file")),
            has_label_conflict=pl.lit(False),
        )
        if self.label_by_emoticon:
            records = _label_by_emoticon(records)
        key = text_key(records["text"])
        return Prepared(
            records.with_columns(text_key=key, split=split_of(key)), chunk.rejects, chunk.count_lines, chunk.raw_line
        )

    def merge(self, prepared: Prepared) -> None:
        """Append what is new, and stage repeated ids until the file is read."""
        records = prepared.records
        self.tally.add(records, clock.now())
        ids = records["tweet_id"]
        known = self.warehouse.load(
            "steps/ingest/select_known_ids", ids.to_frame(), least=ids.min(), greatest=ids.max()
        )
        is_new = ~pl.col("tweet_id").is_in(known["tweet_id"].implode()) & pl.col("tweet_id").is_first_distinct()
        new = records.filter(is_new)
        self.warehouse.load("steps/ingest/insert_tweets", new, **self.stamp)
        self.count_loaded += len(new)
        self.count_lines += prepared.count_lines
        if len(new) < len(records):
            repeated = records.filter(~is_new)
            raw = [prepared.raw_line(number) for number in repeated["line_number"]]
            self.warehouse.load(
                "steps/ingest/insert_repeated_lines",
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
            repeated = self.warehouse.frame("steps/ingest/select_repeated_lines", parts=parts, part=part)
            found = self.warehouse.load("steps/ingest/select_known_tweets", repeated.select("tweet_id"))
            existing = found.drop("file_id", "ingested_at")
            merged, mismatched = merge_known(existing, repeated)
            changed = merged.join(existing, on=existing.columns, how="anti", nulls_equal=True)
            if len(changed):
                self.warehouse.load("steps/ingest/update_tweets", changed)
            self._keep_statements(found, repeated, mismatched)
            rejects = mismatched.with_columns(reason=pl.lit(TEXT_MISMATCH)).select(REJECTS_SCHEMA.names())
            keep_rejects(self, rejects)
            self.count_duplicate += len(repeated) - len(rejects)

    def _keep_statements(self, found: pl.DataFrame, repeated: pl.DataFrame, mismatched: pl.DataFrame) -> None:
        """Write down what this file says of tweets of other files, and what the first one said: each can be withdrawn."""
        others = found.filter(pl.col("file_id") != self.stamp["file_id"])
        own = repeated.join(mismatched, on="line_number", how="anti").join(others, on="tweet_id", how="semi")
        if own.is_empty():
            return
        stated, _ = merge_known(found.drop("file_id", "ingested_at").clear(), own)
        stated = stated.with_columns(
            file_id=pl.lit(self.stamp["file_id"]), stated_at=pl.lit(self.stamp["ingested_at"]), is_first=pl.lit(False)
        )
        first = others.join(own, on="tweet_id", how="semi").rename({"ingested_at": "stated_at"}, strict=True)
        rows = pl.concat(
            [frame.select(STATEMENT) for frame in (first.with_columns(is_first=pl.lit(True)), stated)],
            how="vertical_relaxed",
        )
        self.warehouse.load("steps/ingest/insert_repeated_tweets", rows)


class GoldMerger:
    """Merges blocks of one file into a set of `gold_tweets`, inside the caller's transaction."""

    def __init__(self, warehouse: Warehouse, file_id: str, ingested_at: datetime, gold_set: str) -> None:
        self.warehouse = warehouse
        self.stamp = {"file_id": file_id, "ingested_at": ingested_at}
        self.gold_set = gold_set
        self.count_lines = self.count_loaded = self.count_duplicate = 0
        self.rejected: Counter[str] = Counter()
        self.tally = Tally()
        warehouse.run("steps/ingest/create_lines_laid_aside")

    def prepare(self, chunk: Chunk) -> Prepared:
        """Add the text key; touches no table."""
        records = chunk.records.with_columns(text_key=text_key(chunk.records["text"]))
        return Prepared(records, chunk.rejects, chunk.count_lines, chunk.raw_line)

    def merge(self, prepared: Prepared) -> None:
        """Write one block: a tweet is known by its text, and an id by the first text that came with it."""
        self.tally.add(prepared.records, clock.now())
        records = prepared.records.unique(["tweet_id", "text"], keep="first", maintain_order=True)
        known = self.warehouse.frame("steps/ingest/select_gold_set", gold_set=self.gold_set)
        records = records.join(known, on=["tweet_id", "text"], how="anti", nulls_equal=True)
        has_other_text = pl.col("tweet_id").is_not_null() & (
            pl.col("tweet_id").is_in(known["tweet_id"].drop_nulls().implode()) | ~pl.col("tweet_id").is_first_distinct()
        )
        mismatched = records.filter(has_other_text)
        new = records.filter(~has_other_text)
        self.warehouse.load("steps/ingest/insert_gold_tweets", new, gold_set=self.gold_set, **self.stamp)
        rows = [(number, TEXT_MISMATCH, *prepared.raw_line(number)) for number in mismatched["line_number"]]
        rejects = pl.concat([prepared.rejects, pl.DataFrame(rows, schema=REJECTS_SCHEMA, orient="row")])
        keep_rejects(self, rejects)
        self.count_loaded += len(new)
        self.count_duplicate += prepared.count_lines - len(new) - len(rejects)
        self.count_lines += prepared.count_lines

    def finish(self) -> None:
        """Nothing is left to merge: a hand-labelled tweet is known by its text."""


def keep_rejects(merger: TweetMerger | GoldMerger, rejects: pl.DataFrame) -> None:
    """Lay rejected rows aside until the file is through, and count them by reason."""
    if len(rejects):
        merger.warehouse.load("steps/ingest/insert_rejected_lines", rejects)
        merger.rejected.update(rejects["reason"].to_list())


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
