"""The Sentiment140 CSV format: a record is one physical line, so a broken quote cannot swallow its neighbours.

Two parsers, one meaning. Lines as the published file has them (six quoted fields, no quote within) are split by polars
in whole columns; every other line goes, one by one, through `split_record`, which defines what a line means. A test
proves that both agree on whatever the fast one takes.

Costs on one core: 0.6 million clean lines a second with decoding and typing, 0.2 million of the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from sentiment.errors import NotReadyError
from sentiment.ingest.readers import reject_reasons
from sentiment.ingest.readers.lines import Block, line_ends
from sentiment.ingest.readers.records import FIELDS_SCHEMA, Chunk, fields_of, make_chunk
from sentiment.ingest.text import decode

COLUMNS = ("target", "id", "date", "flag", "user", "text")

_HEADER = (
    {"target", "polarity", "sentiment", "label"},
    {"id", "ids", "tweet_id"},
    {"date", "posted_at", "created_at"},
    {"flag", "query"},
    {"user", "user_name", "username"},
    {"text", "tweet"},
)
# These columns by the names they have as fields.
_FIELDS = FIELDS_SCHEMA.names()[1:-1]

# Either in quotes, with each quote inside doubled, or without any.
_FIELD = r'"[^"]*+(?:""[^"]*+)*+"|[^",]*+'
_RECORD = re.compile(rf"(?:{_FIELD})(?:,(?:{_FIELD}))*+")
_NEXT_FIELD = re.compile(rf"(?:\A|,)({_FIELD})")


def split_record(line: str) -> list[str] | None:
    """Split a line into its fields, quotes undone; None where the quotes do not pair."""
    if '"' not in line:
        return line.split(",")
    if not _RECORD.fullmatch(line):
        return None
    return [field[1:-1].replace('""', '"') if field[:1] == '"' else field for field in _NEXT_FIELD.findall(line)]


def preamble_bytes(head: bytes) -> int:
    """How many of a file's first bytes come before its records: a byte order mark and a header line."""
    count_mark = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    first_line = head[count_mark:].split(b"\n", 1)[0]
    fields = split_record(decode(first_line).rstrip("\r"))
    if fields is None or len(fields) != len(_HEADER):
        return count_mark
    is_header = all(field.strip().lower() in names for field, names in zip(fields, _HEADER, strict=True))
    return min(count_mark + len(first_line) + 1, len(head)) if is_header else count_mark


def read_csv(path: Path, blocks: Iterable[Block], *, gold: bool) -> Iterator[Chunk]:
    """Read blocks of lines in the Sentiment140 format; `path` is for the message alone.

    Raises:
        NotReadyError: the last line has no line break, and no closing quote that would tell that it is whole.
    """
    for block in blocks:
        fields, unreadable = _split_block(block)
        if block.is_torn and not (len(fields) and block.line(0).endswith(b'"')):
            raise NotReadyError(
                f"{path}: line {block.first_line}, the last, ends without a line break and is not a complete record; "
                f"the file is read once it is whole. If nothing writes to it any more, end it with a line break."
            )
        yield make_chunk(fields, unreadable, block.raw_line, gold=gold)


def _split_block(block: Block) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """The fields of every line that has them (FIELDS_SCHEMA, in order), number and reason of the others."""
    clean = decode(block.data).encode()
    ends = block.ends if len(clean) == len(block.data) else line_ends(clean)
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), ends])
    strings = pa.LargeStringArray.from_buffers(len(block), pa.py_buffer(offsets), pa.py_buffer(clean))
    lines = pl.Series("line", strings).str.strip_suffix("\n").str.strip_suffix("\r")

    # A stray byte becomes two or three when it is written as UTF-8.
    was_changed = np.diff(offsets) != np.diff(block.ends, prepend=0)
    quick = _split_clean_lines(lines, block.lengths())
    rest = np.flatnonzero(~quick["is_clean"].to_numpy())
    slow, unreadable = _split_other_lines(lines, rest, block)

    numbers = pl.int_range(len(block), dtype=pl.Int64, eager=True) + block.first_line
    fields = quick.with_columns(line_number=numbers, raw_text=pl.lit(None, dtype=pl.Binary))
    if len(rest):
        fields = pl.concat([fields.filter("is_clean").select(FIELDS_SCHEMA.names()), slow]).sort("line_number")
    if was_changed.any():
        fields = _with_raw_texts(fields, block, was_changed)
    return fields.select(FIELDS_SCHEMA.names()), unreadable


def _split_clean_lines(lines: pl.Series, lengths: np.ndarray) -> pl.DataFrame:
    """Split at `","`. A line is clean if all its quotes are where they must be, which leaves none within a field."""
    line = pl.col("line")
    parts = line.str.splitn('","', len(_FIELDS)).struct.rename_fields(_FIELDS)
    return (
        pl.DataFrame({"line": lines, "length": lengths})
        .with_columns(parts.struct.unnest())
        .with_columns(
            is_clean=(line.str.count_matches('"', literal=True) == 2 * len(_FIELDS))
            & pl.col("target").str.starts_with('"')
            & pl.col("text").str.ends_with('"').fill_null(False)
            & (pl.col("length") <= reject_reasons.LONGEST_LINE)
            & ~line.str.contains("\0", literal=True),
            target=pl.col("target").str.strip_prefix('"'),
            text=pl.col("text").str.strip_suffix('"'),
        )
    )


def _split_other_lines(
    lines: pl.Series, indices: np.ndarray, block: Block
) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    found: list[tuple[object, ...]] = []
    unreadable: list[tuple[int, str]] = []
    lengths = block.lengths()[indices].tolist()
    for index, length, line in zip(indices.tolist(), lengths, lines.gather(indices), strict=True):
        line_number = block.first_line + index
        if length > reject_reasons.LONGEST_LINE:
            unreadable.append((line_number, reject_reasons.OVERLONG_LINE))
        elif "\0" in line:
            unreadable.append((line_number, reject_reasons.NUL_BYTES))
        elif (fields := split_record(line)) is None:
            unreadable.append((line_number, reject_reasons.UNTERMINATED_QUOTE))
        elif len(fields) != len(_FIELDS):
            unreadable.append((line_number, reject_reasons.WRONG_COLUMN_COUNT))
        else:
            found.append((line_number, *fields, None))
    return fields_of(found), unreadable


def _with_raw_texts(fields: pl.DataFrame, block: Block, was_changed: np.ndarray) -> pl.DataFrame:
    """Split the changed lines once more with their bytes kept, for the original of the text."""
    numbers = fields["line_number"].to_numpy()
    rows = np.flatnonzero(was_changed[numbers - block.first_line])
    raw_texts = []
    for index, text in zip(numbers[rows] - block.first_line, fields["text"].gather(rows), strict=True):
        record = split_record(block.line(int(index)).decode("utf-8", errors="surrogateescape"))
        assert record is not None, "decoding neither adds nor takes commas and quotes"
        raw_text = record[-1].encode("utf-8", errors="surrogateescape")
        raw_texts.append(None if raw_text == text.encode() else raw_text)
    return fields.with_columns(fields["raw_text"].scatter(rows, pl.Series(raw_texts, dtype=pl.Binary)))
