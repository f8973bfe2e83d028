"""NDJSON: one JSON object a line, with `tweet_id`, `text` and optionally `posted_at`, `user_name`, `query`, `label`.

Each line is parsed by orjson; other keys are ignored. Line breaks within a text are fine here, escaped as JSON wants.

Costs on one core: about 0.2 million lines a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from sentiment.errors import NotReadyError
from sentiment.ingest.readers import reject_reasons
from sentiment.ingest.readers.lines import Block
from sentiment.ingest.readers.records import Chunk, fields_of, make_chunk
from sentiment.ingest.text import decode

# No target, id or date has this value, so it is rejected as what it stands for.
_WRONG = "?"
_TARGET_TYPES = (str, int, float)
_ID_TYPES = (str, int)
_DATE_TYPES = (str,)

# In the order of FIELDS_SCHEMA.
_Row = tuple[int, str, str, str, str, str, str, bytes | None]


def required_columns(*, gold: bool) -> tuple[str, str]:
    """What every row has to have: tweets their id, hand-labelled ones their label instead."""
    return ("label", "text") if gold else ("tweet_id", "text")


def read_json_lines(path: Path, blocks: Iterable[Block], *, gold: bool) -> Iterator[Chunk]:
    """Read blocks of NDJSON lines; `path` is for the message alone.

    Raises:
        NotReadyError: the last line has no line break and is not a complete object.
    """
    required = required_columns(gold=gold)
    for block in blocks:
        rows: list[_Row] = []
        unreadable: list[tuple[int, str]] = []
        for line_number, (line, length) in enumerate(
            zip(block.lines(), block.lengths().tolist(), strict=True), start=block.first_line
        ):
            row = (
                reject_reasons.OVERLONG_LINE
                if length > reject_reasons.LONGEST_LINE
                else _read_line(line, line_number, required)
            )
            if isinstance(row, str):
                unreadable.append((line_number, row))
            else:
                rows.append(row)
        if block.is_torn and unreadable and unreadable[0][1] in (reject_reasons.NOT_JSON, reject_reasons.NUL_BYTES):
            raise NotReadyError(
                f"{path}: line {block.first_line}, the last, ends without a line break and is not a complete JSON "
                f"object; the file is read once it is whole. If nothing writes to it any more, mend or remove the line."
            )
        yield make_chunk(fields_of(rows), unreadable, block.raw_line, gold=gold)


def _read_line(line: bytes, line_number: int, required: tuple[str, str]) -> _Row | str:
    """The fields of a line, or the reason why there are none."""
    original = None
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            row = orjson.loads(decode(line))
            # orjson refuses the surrogates that stand for stray bytes; the standard library lets them pass.
            original = json.loads(line.decode("utf-8", errors="surrogateescape"))
        except (orjson.JSONDecodeError, RecursionError):
            return reject_reasons.NUL_BYTES if b"\0" in line else reject_reasons.NOT_JSON
    if not isinstance(row, dict):
        return reject_reasons.NOT_JSON
    if required[0] not in row or required[1] not in row:
        return reject_reasons.MISSING_COLUMN
    strings = _read_strings([row.get("query"), row.get("user_name"), row["text"]])
    if isinstance(strings, str):
        return strings
    query, user_name, text = strings
    raw_text = (original["text"] or "").encode("utf-8", errors="surrogateescape") if original else None
    return (
        line_number,
        _as_field(row.get("label"), _TARGET_TYPES),
        _as_field(row.get("tweet_id"), _ID_TYPES),
        _as_field(row.get("posted_at"), _DATE_TYPES),
        query,
        user_name,
        text,
        None if raw_text == text.encode() else raw_text,
    )


def _read_strings(values: list[Any]) -> list[str] | str:
    """The strings, empty where there is none, or the reason why one cannot be taken."""
    for value in values:
        if value is not None and type(value) is not str:
            return reject_reasons.WRONG_TYPE
        if value is not None and "\0" in value:
            return reject_reasons.NUL_BYTES
    return [value or "" for value in values]


def _as_field(value: Any, types: tuple[type, ...]) -> str:
    if value is None:
        return ""
    return str(value) if type(value) in types else _WRONG
