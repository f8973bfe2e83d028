"""From fields to typed records: the rules on values that hold for every format.

A format's reader finds the fields of its lines and hands them over as strings; what a target, an id, a date and a text
may be is decided here alone, for whole columns. Rows that break a rule come back with their reason.

Costs on one core for 1.6 million rows: 0.2 s for dates, 0.3 s for entities, 0.3 s for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from sentiment.ingest import text
from sentiment.ingest.readers import reject_reasons

RECORDS_SCHEMA = pl.Schema(
    {
        "line_number": pl.Int64(),
        "tweet_id": pl.Int64(),
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
FIELDS_SCHEMA = pl.Schema(
    {
        "line_number": pl.Int64(),
        "target": pl.String(),
        "tweet_id": pl.String(),
        "date": pl.String(),
        "query": pl.String(),
        "user_name": pl.String(),
        "text": pl.String(),
        "raw_text": pl.Binary(),
    }
)

# pandas writes whole numbers with `.0` when some of the column are missing.
LABELS = {
    word: label
    for label, words in {
        "negative": ("0", "0.0", "negative"),
        "neutral": ("2", "2.0", "neutral"),
        "positive": ("4", "4.0", "positive"),
    }.items()
    for word in words
}
# What marks a form of date, the form, and its hours from UTC.
_DATE_FORMS = (
    *[
        (zone, f"%a %b %d %H:%M:%S {zone} %Y", hours)
        for zone, hours in (("PDT", -7), ("PST", -8), ("UTC", 0), ("GMT", 0), ("+0000", 0))
    ],
    ("Z", "%Y-%m-%dT%H:%M:%S%.fZ", 0),
)
_INSTANT = pl.Datetime("us", "UTC")
# `Mon Apr 06 22:19:45 PDT 2009`: how long it is, and where the time of day stands.
_PUBLISHED_LENGTH = 28
_CLOCK = slice(11, 19)
_MOST_DAYS_A_ROW = 0.1
# What Python's datetime can hold; polars goes further.
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Chunk:
    """Some consecutive lines of a file: `count_lines == len(records) + len(rejects)`, both in the order of the file.

    `records` has RECORDS_SCHEMA; `raw_text` holds the original bytes of the text where decoding or entities changed it
    and null elsewhere. `rejects` has REJECTS_SCHEMA; `raw_line` is the line without its line break, cut at 1 MiB, and
    `count_bytes` its true length; `raw_line` gives both for any line of the chunk, by its number. Lines count from 1, a
    header included; `count_lines` leaves the header out.
    """

    records: pl.DataFrame
    rejects: pl.DataFrame
    count_lines: int
    raw_line: Callable[[int], tuple[bytes, int]]


def fields_of(rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    """A frame of FIELDS_SCHEMA from rows in its order; by columns, which takes a fifth of the time."""
    columns: Sequence[Sequence[object]] = list(zip(*rows, strict=True)) or [()] * len(FIELDS_SCHEMA)
    return pl.DataFrame(dict(zip(FIELDS_SCHEMA, columns, strict=True)), schema=FIELDS_SCHEMA)


def _iso_instant(date: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(date)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_dates(dates: pl.Series) -> pl.Series:
    """Read `Mon Apr 06 22:19:45 PDT 2009` and ISO 8601 (without a zone: UTC).

    Args:
        dates: strings, null where unknown.

    Returns:
        Datetime in microseconds, UTC; null where unknown and where it does not parse.
    """
    if len(dates) and (instants := _parse_day_by_day(dates)) is not None:
        return instants
    return _parse_each(dates)


def _parse_day_by_day(dates: pl.Series) -> pl.Series | None:
    """A quarter of the time where every date has the form of the published file and most days are the line before's: each
    run of one day is parsed once, and the time of day is arithmetic. None where that does not hold."""
    lengths = dates.str.len_bytes()
    if dates.has_nulls() or lengths.min() != _PUBLISHED_LENGTH or lengths.max() != _PUBLISHED_LENGTH:
        return None
    data = dates.str.join("").to_arrow().buffers()[2]
    clock = np.frombuffer(data, dtype=np.uint8).reshape(-1, _PUBLISHED_LENGTH)[:, _CLOCK].T.astype(np.int32) - ord("0")
    colons, digits = clock[[2, 5]], clock[[0, 1, 3, 4, 6, 7]]
    hours, minutes, seconds = 10 * digits[::2] + digits[1::2]
    is_clock = digits.min() >= 0 and digits.max() <= 9 and (colons == ord(":") - ord("0")).all()
    if not is_clock or hours.max() > 23 or minutes.max() > 59 or seconds.max() > 59:
        return None
    column = pl.col("date")
    days = dates.to_frame("date").select(
        before=column.str.slice(0, _CLOCK.start), behind=column.str.slice(_CLOCK.stop), run=pl.lit(0, dtype=pl.UInt32)
    )
    days = days.with_columns(run=pl.concat_str("before", "behind").rle_id())
    firsts = days.filter(pl.col("run").is_first_distinct())
    if len(firsts) > len(dates) * _MOST_DAYS_A_ROW:
        return None
    midnights = _parse_each(firsts.select(pl.concat_str("before", pl.lit("00:00:00"), "behind")).to_series())
    since_midnight = pl.Series((3600 * hours + 60 * minutes + seconds) * np.int64(1_000_000)).cast(pl.Duration("us"))
    return (midnights.gather(days["run"]) + since_midnight).alias(dates.name)


def _parse_each(dates: pl.Series) -> pl.Series:
    parsed = pl.Series(dates.name, [None], dtype=_INSTANT).new_from_index(0, len(dates))
    for mark, form, hours in _DATE_FORMS:
        rows = (parsed.is_null() & dates.str.contains(mark, literal=True)).arg_true()
        if len(rows):
            local = dates.gather(rows).str.to_datetime(form, time_unit="us", strict=False)
            parsed = parsed.scatter(rows, (local - timedelta(hours=hours)).dt.replace_time_zone("UTC"))
    rows = (parsed.is_null() & dates.is_not_null()).arg_true()
    if len(rows):
        parsed = parsed.scatter(rows, pl.Series([_iso_instant(date) for date in dates.gather(rows)], dtype=_INSTANT))
    return parsed


def _type_fields(fields: pl.DataFrame, *, gold: bool) -> pl.DataFrame:
    known = fields.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)).name.keep())
    dates = known["date"]
    instants = parse_dates(dates) if dates.dtype == pl.String else dates.cast(_INSTANT)
    texts = text.resolve_entities(fields["text"])
    typed = known.select(
        "line_number",
        "user_name",
        "query",
        "raw_text",
        tweet_id=pl.col("tweet_id").cast(pl.Int64, strict=False),
        posted_at=instants,
        text=texts,
        label=pl.col("target").replace_strict(LABELS, default=None, return_dtype=pl.String),
        has_target=pl.col("target").is_not_null() | gold,
        has_id=pl.col("tweet_id").is_not_null() | (not gold),
        has_id_of_digits=pl.col("tweet_id").str.contains("^[0-9]+$"),
        has_date=pl.col("date").is_not_null(),
        text_before=fields["text"],
    )
    is_good_id = pl.col("tweet_id").is_not_null() & pl.col("has_id_of_digits")
    is_good_date = pl.col("posted_at").is_between(_EARLIEST, _LATEST).fill_null(False)
    return typed.with_columns(
        raw_text=pl.when(pl.col("raw_text").is_null() & (pl.col("text") != pl.col("text_before")))
        .then(pl.col("text_before").cast(pl.Binary))
        .otherwise("raw_text"),
        reason=pl.when(pl.col("has_target") & pl.col("label").is_null())
        .then(pl.lit(reject_reasons.UNKNOWN_TARGET))
        .when(pl.col("has_id") & ~is_good_id.fill_null(False))
        .then(pl.lit(reject_reasons.BAD_ID))
        .when(pl.col("has_date") & ~is_good_date)
        .then(pl.lit(reject_reasons.BAD_DATE))
        .when(pl.col("text").str.strip_chars() == "")
        .then(pl.lit(reject_reasons.BLANK_TEXT)),
    )


def make_chunk(
    fields: pl.DataFrame,
    unreadable: Sequence[tuple[int, str]],
    raw_line: Callable[[int], tuple[bytes, int]],
    *,
    gold: bool,
) -> Chunk:
    """Type the fields of some lines and set those aside that break a rule.

    Args:
        fields: FIELDS_SCHEMA, where `date` may be an instant already. An empty string (for a date, also null) is an
            unknown value; `raw_text` is set where decoding changed the text.
        unreadable: line number and reason of the other lines of the chunk.
        raw_line: gives the bytes to keep of a line, by number, and its true length.
        gold: hand-labelled lines, which need a label but no id.
    """
    typed = _type_fields(fields, gold=gold)
    broken = typed.filter(pl.col("reason").is_not_null())
    rejected = sorted([*unreadable, *broken.select("line_number", "reason").iter_rows()])
    rejects = [(line_number, reason, *raw_line(line_number)) for line_number, reason in rejected]
    records = typed if broken.is_empty() else typed.filter(pl.col("reason").is_null())
    return Chunk(
        records=records.select(RECORDS_SCHEMA.names()),
        rejects=pl.DataFrame(rejects, schema=REJECTS_SCHEMA, orient="row"),
        count_lines=len(records) + len(rejects),
        raw_line=raw_line,
    )
