"""JSON: one object a line, arrays, pages and exports; each post is a record.

Lines are parsed one by one, so a broken one costs itself alone; an array that was written one element a line is read
in the same way, and so is `tweets.js`. Other documents are read as a stream of values, whose memory is that of the
longest; behind a broken one, reading goes on at the next object.

Costs on one core: 0.25 million small objects a second.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from sentiment.errors import NotReadyError
from sentiment.ingest.readers import reject_reasons
from sentiment.ingest.readers.batch import Batch
from sentiment.ingest.readers.lines import LONGEST_KEPT, Block
from sentiment.ingest.readers.posts import PLAIN, Layout, Row
from sentiment.ingest.text import decode

_BATCH_ROWS = 50_000
_NEXT_OBJECT = re.compile(r'(?<=[\]},\n"\s])(?=\{\s*")')
_LONGEST_VALUE = 64 << 20
_SHORT_OF_END = 32
_TRIM_AT = 1 << 20
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.S)
_MOST_KEYS = 100
_TOO_DEEP = "nested too deeply to be shown"
_BETWEEN = re.compile(r"[\s,]*")
_KEY = re.compile(r'"(\w+)"\s*:\s*(?=[{\["\d])')
_ARRAY_OPENS = re.compile(r"\A\ufeff?\s*(?:[\w.$]+\s*=\s*)?\[")


@dataclass
class _Gathered:
    """Rows on their way into a batch."""

    numbers: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    original: dict[int, Row] = field(default_factory=dict)
    raws: dict[int, bytes] = field(default_factory=dict)
    """Bytes of posts that have no lines of their own."""

    def batch(self, raw_line: Callable[[int], tuple[bytes, int]]) -> Batch:
        columns, not_text, not_string = to_columns(self.rows)
        original = self.original

        def raw_field(name: str) -> dict[int, bytes]:
            values = {number: row.get(name) for number, row in original.items()}
            return {n: v.encode("utf-8", errors="surrogateescape") for n, v in values.items() if isinstance(v, str)}

        numbers = np.array(self.numbers, dtype=np.int64)
        return Batch(numbers, columns, self.unreadable, raw_line, not_text, not_string, raw_field if original else None)


def to_columns(rows: Sequence[Row]) -> tuple[pl.DataFrame, dict[str, pl.Series], dict[str, pl.Series]]:
    """The values of all keys as strings, and `not_text` and `not_string` of a batch."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns, not_text, not_string = [], {}, {}
    for name in names:
        values = [row.get(name) for row in rows]
        if list in (types := set(map(type, values))):
            values = [_only(value) for value in values]
            types = set(map(type, values))
        if types <= {str, type(None)}:
            columns.append(pl.Series(name, values, dtype=pl.String))
            continue
        columns.append(pl.Series(name, [_as_string(value) for value in values], dtype=pl.String))
        is_other = pl.Series(
            [value is not None and type(value) not in (str, int, float) for value in values], dtype=pl.Boolean
        )
        if is_other.any():
            not_text[name] = is_other
        not_string[name] = pl.Series([value is not None and type(value) is not str for value in values])
    frame = pl.DataFrame(columns) if columns else pl.DataFrame(schema={"\0": pl.String})
    return frame, not_text, not_string


def _only(value: Any) -> Any:
    """The one string or number of a list, as tools for labelling write labels; what has none or several is left as it is."""
    return value[0] if type(value) is list and len(value) == 1 and type(value[0]) in (str, int, float) else value


def _as_string(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if type(value) in (int, float):
        return str(value)
    try:
        return json.dumps(value, default=str)
    except RecursionError:
        return _TOO_DEEP


def _written(row: Row) -> bytes:
    try:
        return orjson.dumps(row, default=str)
    except TypeError:  # Its limit of depth is lower than the parsers'.
        return orjson.dumps({name: _as_string(value) for name, value in row.items()})


def read_json_lines(path: Path, blocks: Iterable[Block], layout: Layout, *, is_array: bool = False) -> Iterator[Batch]:
    """Read blocks of lines; `path` is for the message alone.

    Args:
        is_array: the lines are the elements of an array: brackets and commas around them are not theirs.

    Raises:
        NotReadyError: the last line has no line break and is not a complete value.
    """
    state = {"records": 0}
    for block in blocks:
        gathered = _Gathered()
        for line_number, (given, length) in enumerate(
            zip(block.lines(), block.lengths().tolist(), strict=True), start=block.first_line
        ):
            line = _element(given, is_first=line_number == 1) if is_array else given
            if is_array and not line:
                continue
            _read_line(gathered, line, length, line_number, layout, state)
        torn = (reject_reasons.NOT_JSON, reject_reasons.NUL_BYTES)
        if block.is_torn and gathered.unreadable and gathered.unreadable[0][1] in torn:
            raise NotReadyError(
                f"{path}: line {block.first_line}, the last, ends without a line break and is not a complete JSON "
                f"object. The file is read once it is whole. If nothing writes to it any more, repair or remove the line."
            )
        if gathered.numbers or gathered.unreadable:
            yield gathered.batch(_raw_of(gathered.raws, block.raw_line))


def _element(line: bytes, *, is_first: bool) -> bytes:
    line = line.strip()
    if is_first:
        line = line.partition(b"[")[2].strip() if b"[" in line.partition(b"{")[0] else line
    if line.endswith(b"]") or line.endswith(b"];"):
        line = line.rstrip(b"; ").removesuffix(b"]").rstrip()
    return line.removesuffix(b",").removeprefix(b",").strip()


def _raw_of(raws: dict[int, bytes], raw_line: Callable[[int], tuple[bytes, int]]) -> Callable[[int], tuple[bytes, int]]:
    def find(line_number: int) -> tuple[bytes, int]:
        raw = raws.get(line_number)
        return raw_line(line_number) if raw is None else (raw[:LONGEST_KEPT], len(raw))

    return find


def _read_line(
    gathered: _Gathered,
    line: bytes,
    length: int,
    line_number: int,
    layout: Layout,
    state: dict[str, int],
) -> None:
    value, original = _parse(line)
    if not isinstance(value, dict) or (layout is PLAIN and length > reject_reasons.LONGEST_LINE):
        is_long = length > reject_reasons.LONGEST_LINE
        reason = (
            reject_reasons.OVERLONG_LINE
            if is_long
            else reject_reasons.NUL_BYTES
            if b"\0" in line
            else reject_reasons.NOT_JSON
        )
        gathered.unreadable.append((line_number, reason))
        return
    if layout is PLAIN:
        (row,) = layout.rows(value)
        gathered.numbers.append(line_number)
        gathered.rows.append(row)
        if original is not None:
            (gathered.original[line_number],) = layout.rows(original)
        return
    rows = list(layout.rows(value))
    if not rows:
        gathered.unreadable.append((max(line_number, state["records"] + 1), reject_reasons.NOT_A_POST))
        state["records"] += state["records"] > 0
        return
    if len(rows) == 1 and not state["records"]:
        gathered.numbers.append(line_number)
        gathered.rows.append(rows[0])
        return
    # A page: its posts are counted, since they have no lines of their own.
    state["records"] = max(state["records"], line_number - 1)
    for row in rows:
        state["records"] += 1
        gathered.raws[state["records"]] = _written(row)
        gathered.numbers.append(state["records"])
        gathered.rows.append(row)


def _parse(line: bytes) -> tuple[Any, Any]:
    """The value of a line, and where its bytes are no UTF-8 the value with each stray byte kept; None if it is no JSON."""
    try:
        return orjson.loads(line), None
    except orjson.JSONDecodeError:
        try:
            value = orjson.loads(decode(line))
            # orjson refuses the surrogates that encode stray bytes; the standard library lets them pass.
            return value, json.loads(line.decode("utf-8", errors="surrogateescape"))
        except (ValueError, RecursionError):
            return None, None


class _Values:
    """The values of a JSON document, one after the other, from pieces of its bytes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="sentiment.windows-1252")
        self._json = json.JSONDecoder()
        self._buffer = ""
        self._at_end = False
        self.is_closed = True

    def _more(self) -> bool:
        if self._at_end:
            return False
        piece = next(self._pieces, None)
        self._at_end = piece is None
        self._buffer += self._decoder.decode(piece or b"", final=self._at_end)
        return True

    def __iter__(self) -> Iterator[tuple[Any, str]]:
        """Each value with its text; None as the value of what is no JSON."""
        self._more()
        opens = _ARRAY_OPENS.match(self._buffer)
        is_array = opens is not None
        position = opens.end() if opens else 0
        self.is_closed = not is_array
        while True:
            position = _BETWEEN.match(self._buffer, position).end()  # type: ignore[union-attr]
            if position > _TRIM_AT:
                self._buffer, position = self._buffer[position:], 0
            if position >= len(self._buffer):
                if not self._more():
                    return
                continue
            if is_array and self._buffer[position] == "]":
                self.is_closed = True
                return
            try:
                value, end = self._json.raw_decode(self._buffer, position)
            except (ValueError, RecursionError) as error:  # No JSON, or a number of thousands of digits.
                if self._may_be_incomplete(error, position) and self._more():
                    continue
                # What is nested too deeply holds no post at any depth, and to try each would take hours.
                start = self._end_of_nested(position) if isinstance(error, RecursionError) else position + 1
                behind = _NEXT_OBJECT.search(self._buffer, start)
                end = behind.end() if behind else len(self._buffer)
                broken = self._buffer[position:end].strip().rstrip(",")
                self.is_closed = not is_array or behind is not None or broken.rstrip("; \n").endswith("]")
                yield None, broken
                position = end
                if behind is None:
                    return
                continue
            yield value, self._buffer[position:end]
            position = end

    def _end_of_nested(self, position: int) -> int:
        """Where the value ends that begins here, by its brackets alone; the end of what there is if it has none."""
        while len(self._buffer) - position <= _LONGEST_VALUE and self._more():
            pass
        depth = 0
        for found in _STRING_OR_BRACKET.finditer(self._buffer, position):
            depth += (found[0] in "[{") - (found[0] in "]}")
            if not depth:
                return found.end()
        return len(self._buffer)

    def _may_be_incomplete(self, error: Exception, position: int) -> bool:
        """Whether the value may go on behind what was read; one that is broken shows before the end."""
        if len(self._buffer) - position > _LONGEST_VALUE or not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._buffer) - _SHORT_OF_END


def read_json_document(path: Path, pieces: Iterable[bytes], layout: Layout) -> Iterator[Batch]:
    """Read an array, an export or a page, or values behind each other; records count from 1.

    Raises:
        NotReadyError: the document has no end yet.
    """
    values = _Values(pieces)
    gathered, raws, number = _Gathered(), {}, 0
    for value, text in values:
        rows = list(layout.rows(value)) if isinstance(value, dict) else None
        if not rows:
            number += 1
            raws[number] = text.encode("utf-8", errors="replace")
            reason = reject_reasons.NUL_BYTES if "\0" in text else reject_reasons.NOT_JSON
            gathered.unreadable.append((number, reason if rows is None else reject_reasons.NOT_A_POST))
        for row in rows or ():
            number += 1
            raws[number] = text.encode("utf-8", errors="replace") if len(rows or ()) == 1 else _written(row)
            gathered.numbers.append(number)
            gathered.rows.append(row)
        if len(raws) >= _BATCH_ROWS:
            yield gathered.batch(_raw_of(raws, _no_line))
            gathered, raws = _Gathered(), {}
    if not values.is_closed:
        raise NotReadyError(
            f"{path} begins as a JSON array and has no end yet. It is read once it is complete. "
            f"If nothing writes to it any more, write it again."
        )
    if raws:
        yield gathered.batch(_raw_of(raws, _no_line))


def _no_line(line_number: int) -> tuple[bytes, int]:
    return b"", 0


def sample_values(text: bytes) -> list[Any]:
    """The first values of a JSON document that begins with `text`; the items of a page that is cut off by its end."""
    values = []
    for value, _ in _Values([text]):
        values.append(value)
        if len(values) >= 200:
            break
    # What follows an object that is cut off is within it.
    is_cut = text.lstrip().startswith(b"{") and values[:1] == [None]
    if is_cut or not any(isinstance(value, dict) for value in values):
        values = _first_of_page(text) or values
    return values


def _first_of_page(text: bytes) -> list[Any]:
    """What a page that is longer than the sample begins with: its keys, and of the list that is cut off the first item."""
    decoded = decode(text)
    decoder = json.JSONDecoder()
    page: dict[str, Any] = {}
    end = 0
    for found in itertools.islice(_KEY.finditer(decoded), _MOST_KEYS):
        if found.start() < end:
            continue
        with suppress(ValueError, RecursionError):
            value, end = decoder.raw_decode(decoded, found.end())
            page.setdefault(found[1], value)
            continue
        if decoded[found.end()] == "[":
            with suppress(ValueError, RecursionError):
                item, _ = decoder.raw_decode(decoded, _BETWEEN.match(decoded, found.end() + 1).end())  # type: ignore[union-attr]
                page.setdefault(found[1], [item])
            break
    return [page] if page else []
