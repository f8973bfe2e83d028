"""From named columns to typed records: the rules on values that hold for every format.

What a label, an id, a date and a text may be is decided here alone, for whole columns, by the reading that was
decided for the file. Rows that break a rule come back with their reason.

Costs on one core for 1.6 million rows: 0.2 s for dates, 0.3 s for entities, 0.3 s for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from sentiment.ingest import text
from sentiment.ingest.mapping.label_columns import read_labels
from sentiment.ingest.mapping.labels import canonical
from sentiment.ingest.mapping.reading import Reading
from sentiment.ingest.mapping.text_forms import unwrap
from sentiment.ingest.mapping.times import EARLIEST, LATEST, TimePlan, parse_times
from sentiment.ingest.post_ids import content_keys, id_of_content, id_of_string
from sentiment.ingest.readers import reject_reasons
from sentiment.ingest.readers.batch import Batch
from sentiment.ingest.readers.posts import REMOVED_TEXTS

RECORDS_SCHEMA = pl.Schema(
    {
        "line_number": pl.Int64(),
        "tweet_id": pl.Int64(),
        "source": pl.String(),
        "source_id": pl.String(),
        "posted_at": pl.Datetime("us", "UTC"),
        "user_name": pl.String(),
        "query": pl.String(),
        "text": pl.String(),
        "raw_text": pl.Binary(),
        "label": pl.String(),
    }
)
REJECTS_SCHEMA = pl.Schema(
    {"line_number": pl.Int64(), "reason": pl.String(), "raw_line": pl.Binary(), "count_bytes": pl.Int64()}
)
_ID_LIMIT = 300


@dataclass(frozen=True)
class Chunk:
    """Some consecutive records of a file: `count_lines == len(records) + len(rejects)`, both in the order of the file.

    `records` has RECORDS_SCHEMA; `raw_text` holds the original bytes of the text where decoding or entities changed it
    and null elsewhere. `rejects` has REJECTS_SCHEMA; `raw_line` is the line without its line break, cut at 1 MiB, and
    `count_bytes` its true length; `raw_line` gives both for any record of the chunk, by its number. Lines count from 1, a
    header included; `count_lines` leaves the header out.
    """

    records: pl.DataFrame
    rejects: pl.DataFrame
    count_lines: int
    raw_line: Callable[[int], tuple[bytes, int]]


class RecordMaker:
    """Types the batches of one file, in order; remembers how often each content came where identity follows from it."""

    def __init__(self, reading: Reading, *, gold: bool) -> None:
        self.reading = reading
        self.gold = gold
        self.seen: dict[int, int] = {}

    def make(self, batch: Batch) -> Chunk:
        """Type the records of a batch and reject those that break a rule."""
        typed = self._typed(batch)
        broken = typed.filter(pl.col("reason").is_not_null())
        rejected = sorted([*batch.unreadable, *broken.select("line_number", "reason").iter_rows()])
        rejects = [(line_number, reason, *batch.raw_line(line_number)) for line_number, reason in rejected]
        records = typed if broken.is_empty() else typed.filter(pl.col("reason").is_null())
        records = self._identified(records)
        return Chunk(
            records=records.select(RECORDS_SCHEMA.names()).cast(dict(RECORDS_SCHEMA)),  # type: ignore[arg-type]
            rejects=pl.DataFrame(rejects, schema=REJECTS_SCHEMA, orient="row"),
            count_lines=len(records) + len(rejects),
            raw_line=batch.raw_line,
        )

    def _column(self, batch: Batch, role: str) -> pl.Series:
        name = self.reading.columns.get(role)
        if name is None or name not in batch.columns.columns:
            return pl.Series(role, [None], dtype=pl.String).new_from_index(0, len(batch.line_numbers))
        return batch.columns[name].alias(role)

    def _typed(self, batch: Batch) -> pl.DataFrame:
        texts_given = self._texts(batch)
        texts = text.resolve_entities(unwrap(texts_given, self.reading.text_form))
        dates = self._column(batch, "date")
        times = parse_times(_known(dates), self.reading.times or TimePlan())
        labels_given = self._column(batch, "label")
        scheme = self.reading.scheme
        label = (
            read_labels(labels_given, scheme)
            if scheme is not None
            else pl.Series("label", [None], dtype=pl.String).new_from_index(0, len(texts))
        )
        frame = pl.DataFrame(
            [
                pl.Series("line_number", batch.line_numbers, dtype=pl.Int64),
                _known(self._column(batch, "user")).cast(pl.String).alias("user_name"),
                _known(self._column(batch, "query")).cast(pl.String).alias("query"),
                texts.alias("text"),
                texts_given.alias("text_before"),
                times.alias("posted_at"),
                label.alias("label"),
                _known(self._column(batch, "id")).cast(pl.String).alias("id"),
                _is_unread(dates, times).alias("is_bad_date"),
                self._is_unknown_label(labels_given, label).alias("is_unknown_label"),
            ]
        )
        frame = frame.with_columns(self._number_ids(frame["id"]))
        return frame.with_columns(raw_text=self._raw_texts(batch, frame), reason=self._reason(batch, frame))

    def _texts(self, batch: Batch) -> pl.Series:
        texts = self._column(batch, "text").cast(pl.String).fill_null("")
        if "title" in self.reading.columns:
            title = self._column(batch, "title").cast(pl.String).fill_null("").str.strip_chars()
            both = pl.DataFrame([title.alias("title"), texts.alias("text")])
            has_both = (
                (pl.col("title") != "") & (pl.col("text").str.strip_chars() != "") & (pl.col("title") != pl.col("text"))
            )
            texts = both.select(
                pl.when(has_both)
                .then(pl.concat_str("title", pl.lit("\n\n"), "text"))
                .when(pl.col("text").str.strip_chars() == "")
                .then("title")
                .otherwise("text")
            ).to_series()
        return texts

    def _raw_texts(self, batch: Batch, frame: pl.DataFrame) -> pl.Expr:
        changed = pl.when(pl.col("text") != pl.col("text_before")).then(pl.col("text_before").cast(pl.Binary))
        name = self.reading.columns.get("text")
        raw = (
            batch.raw_field(name)
            if batch.raw_field is not None and name is not None and "title" not in self.reading.columns
            else {}
        )
        if not raw:
            return changed
        numbers = frame["line_number"].to_numpy()
        wanted = np.array(sorted(raw), dtype=np.int64)
        wanted = wanted[np.isin(wanted, numbers)]
        rows = np.searchsorted(numbers, wanted)
        before = frame["text_before"].gather(rows)
        kept = [
            None if raw[number] == text.encode() else raw[number]
            for number, text in zip(wanted.tolist(), before, strict=True)
        ]
        empty = pl.Series([None], dtype=pl.Binary).new_from_index(0, len(frame))
        return pl.coalesce(pl.lit(empty.scatter(rows, pl.Series(kept, dtype=pl.Binary))), changed)

    def _is_unknown_label(self, given: pl.Series, label: pl.Series) -> pl.Series:
        scheme = self.reading.scheme
        if "label" not in self.reading.columns or scheme is None:
            return label.is_null() & self.gold
        if not label.has_nulls():
            return label.is_null()
        unlabelled = [value for value, meaning in scheme.meaning.items() if meaning is None]
        forms = canonical(given.cast(pl.String))
        is_label_missing = forms.is_null() | forms.is_in(unlabelled).fill_null(False)
        return label.is_null() & (~is_label_missing | self.gold)

    def _number_ids(self, ids: pl.Series) -> pl.Series:
        """Ids as numbers, null where they are none; whole numbers that went through a small float are whole numbers."""
        is_digits = ids.str.contains(r"^[0-9]+$").fill_null(False)
        numbers = ids.cast(pl.Int64, strict=False)
        if not is_digits.all():
            none = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(ids))
            digits = ids.str.strip_chars().str.replace(r"\.0+$", "")
            others = digits.cast(pl.Int64, strict=False).zip_with(
                digits.str.contains(r"^[0-9]+$").fill_null(False), none
            )
            numbers = numbers.zip_with(is_digits, others)
        return numbers.alias("tweet_id")

    def _reason(self, batch: Batch, frame: pl.DataFrame) -> pl.Expr:
        is_wrong_type = pl.lit(False)
        for role in ("text", "title", "user", "query"):
            name = self.reading.columns.get(role, "")
            wrong = batch.not_string if role == "text" else batch.not_text
            if name in wrong:
                is_wrong_type |= pl.lit(wrong[name])
        is_nul = pl.lit(False)
        if batch.has_nul:
            names = ("text_before", "user_name", "query")
            is_nul = pl.any_horizontal(pl.col(name).str.contains("\0", literal=True).fill_null(False) for name in names)
        if self.reading.ids == "content":
            is_bad_id = pl.lit(False)
        elif self.reading.ids == "numbers":
            is_bad_id = pl.col("tweet_id").is_null()
        else:
            is_bad_id = pl.col("id").is_null() | (pl.col("id").str.len_bytes() > _ID_LIMIT)
        if self.gold:
            is_bad_id &= pl.col("id").is_not_null()
        is_bad_date = pl.col("is_bad_date") | ~pl.col("posted_at").is_between(EARLIEST, LATEST).fill_null(True)
        return (
            pl.when(pl.col("text_before").str.len_bytes() > reject_reasons.LONGEST_LINE)
            .then(pl.lit(reject_reasons.OVERLONG_LINE))
            .when(is_nul)
            .then(pl.lit(reject_reasons.NUL_BYTES))
            .when(is_wrong_type)
            .then(pl.lit(reject_reasons.WRONG_TYPE))
            .when(pl.col("is_unknown_label"))
            .then(pl.lit(reject_reasons.UNKNOWN_TARGET))
            .when(is_bad_id)
            .then(pl.lit(reject_reasons.BAD_ID))
            .when(is_bad_date)
            .then(pl.lit(reject_reasons.BAD_DATE))
            .when(pl.col("text").str.strip_chars() == "")
            .then(pl.lit(reject_reasons.BLANK_TEXT))
            .when(pl.lit(_is_removed(frame["text"])))
            .then(pl.lit(reject_reasons.TEXT_REMOVED))
        )

    def _identified(self, records: pl.DataFrame) -> pl.DataFrame:
        """With `tweet_id`, `source` and `source_id`: the id itself where it is a tweet's, otherwise a stable hash."""
        reading = self.reading
        records = records.with_columns(
            source=pl.lit(reading.namespace, dtype=pl.String), source_id=pl.lit(None, dtype=pl.String)
        )
        if reading.ids == "content":
            if self.gold:
                return records.with_columns(tweet_id=pl.lit(None, dtype=pl.Int64))
            keys = content_keys(reading.namespace, records)
            return records.with_columns(tweet_id=id_of_content(keys, self.seen))
        if reading.ids == "numbers" and reading.namespace is None:
            return records
        ids = records["id"].str.strip_chars()
        hashed = id_of_string(reading.namespace, ids.fill_null(""))
        return records.with_columns(
            tweet_id=hashed.zip_with(ids.is_not_null(), pl.Series([None], dtype=pl.Int64).new_from_index(0, len(ids))),
            source_id=ids,
        )


def _known(values: pl.Series) -> pl.Series:
    """Values, null where they are blank."""
    if values.dtype != pl.String:
        return values
    return (
        values.to_frame("v")
        .select(pl.when(pl.col("v").str.strip_chars() != "").then("v"))
        .to_series()
        .alias(values.name)
    )


def _is_unread(given: pl.Series, times: pl.Series) -> pl.Series:
    """Where a time is given and none could be read; words for a missing one give none."""
    is_unread = times.is_null()
    if not is_unread.any():
        return is_unread
    said = _known(given)
    words = ["nan", "nat", "none", "null"]
    return is_unread & said.is_not_null() & ~said.cast(pl.String).str.to_lowercase().is_in(words).fill_null(False)


def _is_removed(texts: pl.Series) -> pl.Series:
    """Where in place of a text stands that it was removed; only short ones are compared."""
    rows = (texts.str.len_bytes() <= max(map(len, REMOVED_TEXTS))).arg_true()
    is_removed = pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(texts))
    return is_removed.scatter(rows, texts.gather(rows).is_in(list(REMOVED_TEXTS))) if len(rows) else is_removed
