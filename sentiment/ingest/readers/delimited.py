"""Tables of delimited text, CSV and TSV of any dialect: no line is lost, and a broken quote does not swallow its neighbours.

A line that is a whole record by itself is one. pyarrow splits those, in whole columns; a pattern has made sure before
that it will find as many records as there are lines. A line on which a quoted field begins and does not end may go on
on the next ones (RFC 4180), or its quote may be broken. It is joined with the lines that follow when that gives a
whole record, unless more of these lines are records of their own: the reading that loses fewest rows wins.

Costs on one core: 1.2 million lines a second of Sentiment140.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv

from sentiment.errors import NotReadyError
from sentiment.ingest.read_ahead import read_ahead
from sentiment.ingest.readers import reject_reasons
from sentiment.ingest.readers.batch import Batch
from sentiment.ingest.readers.dialect import Dialect
from sentiment.ingest.readers.lines import LONGEST_KEPT, Block
from sentiment.ingest.readers.whole_lines import as_utf8_lines, find_whole_lines

_MOST_LINES_JOINED = 1_000
_SAMPLE_ROWS = 2_000


@dataclass
class _Lines:
    """The lines of a block in UTF-8, and what each is by itself.

    Attributes:
        clean: the bytes of the block, stray ones replaced.
        ends: where each line ends in them, behind its line break: int64, shape (lines,).
        is_whole: which lines are records by themselves, bool, shape (lines,).
        was_changed: which lines had stray bytes, bool, shape (lines,).
        spans: records of several lines: index of the first and of the last line.
    """

    block: Block
    clean: bytes
    ends: np.ndarray
    is_whole: np.ndarray
    was_changed: np.ndarray
    spans: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ends)

    def text(self, index: int) -> str:
        """One line without its line break."""
        start = int(self.ends[index - 1]) if index else 0
        return self.clean[start : int(self.ends[index])].decode().removesuffix("\n").removesuffix("\r")

    def data(self, rows: np.ndarray) -> bytes:
        """The bytes of some lines, ascending, with their line breaks."""
        if len(rows) == len(self):
            return self.clean
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        firsts, lasts = rows[np.concatenate([[0], breaks])], rows[np.concatenate([breaks - 1, [len(rows) - 1]])]
        starts = np.where(firsts > 0, self.ends[firsts - 1], 0)
        runs = zip(starts.tolist(), self.ends[lasts].tolist(), strict=True)
        return b"".join([self.clean[start:end] for start, end in runs])

    def raw_line(self) -> Callable[[int], tuple[bytes, int]]:
        """Gives the bytes of a record; holds nothing but the block, since it outlives the strings."""
        block, spans = self.block, self.spans

        def find(line_number: int) -> tuple[bytes, int]:
            index = line_number - block.first_line
            last = spans.get(index, index)
            if last == index:
                return block.raw_line(line_number)
            data = b"\n".join(block.line(number) for number in range(index, last + 1))
            return data[:LONGEST_KEPT], len(data)

        return find


class DelimitedReader:
    """Reads blocks of lines in one dialect; `path` is for messages alone."""

    def __init__(self, path: Path, dialect: Dialect, names: tuple[str, ...]) -> None:
        self.path = path
        self.dialect = dialect
        self.names = names
        self._record = dialect.record_pattern()
        self._open = re.compile(dialect.open_pattern())
        self._narrow: list[set[str] | str | None] | None = None

    def read(self, blocks: Iterable[Block]) -> Iterator[Batch]:
        """The records of the blocks, in order.

        Raises:
            NotReadyError: the last line has no line break and is not a whole record.
        """
        held: Block | None = None
        for lines in read_ahead(map(self._look_at, blocks)):
            is_torn = lines.block.is_torn
            whole = lines if held is None else self._look_at(_joined(held, lines.block))
            batch, held = self._read_lines(whole, may_hold=not is_torn)
            if is_torn:
                self._refuse_torn(lines.block, batch)
            if len(batch):
                yield batch
        if held is not None:
            batch, _ = self._read_lines(self._look_at(held), may_hold=False)
            yield batch

    def _refuse_torn(self, block: Block, batch: Batch) -> None:
        torn = {reject_reasons.UNTERMINATED_QUOTE, reject_reasons.WRONG_COLUMN_COUNT, reject_reasons.NUL_BYTES}
        if batch.unreadable and batch.unreadable[-1][0] == block.first_line and batch.unreadable[-1][1] in torn:
            raise NotReadyError(
                f"{self.path}: line {block.first_line}, the last, ends without a line break and is not a complete record. "
                f"The file is read once it is whole. If nothing writes to it any more, end it with a line break."
            )

    def _read_lines(self, lines: _Lines, *, may_hold: bool) -> tuple[Batch, Block | None]:
        rest = np.flatnonzero(~lines.is_whole)
        joined: dict[int, list[str]] = {}
        reasons: list[tuple[int, str]] = []
        held_from = None
        if len(rest):
            joined, reasons, held_from = self._resolve(lines, rest, may_hold)
        held = None
        if held_from is not None:
            held = _rest(lines.block, held_from)
            lines.is_whole[held_from:] = False
        return self._batch(lines, joined, reasons), held

    def _look_at(self, block: Block) -> _Lines:
        clean, ends, was_changed = as_utf8_lines(block.data, block.ends)
        if self.dialect.count_columns > 1:
            is_whole, is_doubtful = find_whole_lines(clean, ends, self.dialect)
        else:
            is_whole, is_doubtful = np.zeros(len(ends), dtype=bool), np.ones(len(ends), dtype=bool)
        rows = np.flatnonzero(is_doubtful)
        if len(rows):
            is_whole[rows] = self._are_records(clean, ends, rows)
        if b"\0" in clean:
            places = np.flatnonzero(np.frombuffer(clean, dtype=np.uint8) == 0)
            is_whole[np.searchsorted(ends, places, side="right")] = False
        is_whole &= block.lengths() <= reject_reasons.LONGEST_LINE
        return _Lines(block, clean, ends, is_whole, was_changed)

    def _are_records(self, clean: bytes, ends: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Whether lines are records by the pattern of the dialect: bool, shape (rows,)."""
        if self.dialect.count_columns == 1 and not self.dialect.is_quoted:
            return np.ones(len(rows), dtype=bool)
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), ends])
        lines = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(clean))
        texts = pl.Series("line", lines).gather(rows).str.strip_suffix("\n").str.strip_suffix("\r")
        return texts.str.contains(self._record).to_numpy()

    def _resolve(
        self, lines: _Lines, rest: np.ndarray, may_hold: bool
    ) -> tuple[dict[int, list[str]], list[tuple[int, str]], int | None]:
        """What becomes of the lines that are no whole record: joined fields by first line, reasons, and where to wait."""
        joined: dict[int, list[str]] = {}
        reasons: list[tuple[int, str]] = []
        lengths = lines.block.lengths()
        next_line = 0
        for index in rest.tolist():
            if index < next_line:
                continue
            text = lines.text(index)
            if lengths[index] > reject_reasons.LONGEST_LINE:
                reasons.append((index, reject_reasons.OVERLONG_LINE))
                continue
            if "\0" in text:
                reasons.append((index, reject_reasons.NUL_BYTES))
                continue
            if self.dialect.is_quoted and '"' in text and self._open.match(text):
                last, fields = self._join(lines, index)
                if last is None and may_hold:
                    return joined, reasons, index
                if last is not None and fields is not None and not self._loses_rows(lines, index, last):
                    joined[index] = fields
                    lines.spans[index] = last
                    lines.is_whole[index : last + 1] = False
                    next_line = last + 1
                    continue
            fields = self.dialect.split(text)
            reasons.append(
                (index, reject_reasons.UNTERMINATED_QUOTE if fields is None else reject_reasons.WRONG_COLUMN_COUNT)
            )
        return joined, reasons, None

    def _join(self, lines: _Lines, first: int) -> tuple[int | None, list[str] | None]:
        """The last line of the record that begins at `first` and its fields; no last line where the block ends before it,
        no fields where the lines do not make a record."""
        parts = [lines.text(first)]
        length = len(parts[0])
        for index in range(first + 1, len(lines)):
            text = lines.text(index)
            parts.append(text)
            length += len(text) + 1
            if len(parts) > _MOST_LINES_JOINED or length > reject_reasons.LONGEST_LINE:
                return index, None
            if '"' not in text:
                continue
            whole = "\n".join(parts)
            if "\0" in text:
                return index, None
            if self._open.match(whole):
                continue
            fields = self.dialect.split(whole)
            return index, fields if fields is not None and len(fields) == self.dialect.count_columns else None
        return None, None

    def _loses_rows(self, lines: _Lines, first: int, last: int) -> bool:
        """Whether lines behind the first are records of their own, by what their fields hold as well."""
        inner = [index for index in range(first + 1, last + 1) if lines.is_whole[index]]
        if not inner:
            return False
        narrow = self._narrow_columns(lines)
        count_narrow = sum(values is not None for values in narrow)
        count_alike = sum(_is_alike(self.dialect.split(lines.text(index)), narrow) for index in inner)
        if count_narrow >= 2:
            return count_alike >= 1
        return count_narrow == 1 and count_alike >= 2

    def _narrow_columns(self, lines: _Lines) -> list[set[str] | str | None]:
        """What each column holds in lines that are whole: a few values, digits alone, or (None) anything."""
        if self._narrow is None:
            rows = np.flatnonzero(lines.is_whole)[:_SAMPLE_ROWS]
            fields = [self.dialect.split(lines.text(index)) or [] for index in rows.tolist()]
            columns = list(zip(*fields, strict=False)) if fields else []
            self._narrow = [_narrow(values) for values in columns]
        return self._narrow

    def _batch(self, lines: _Lines, joined: dict[int, list[str]], reasons: list[tuple[int, str]]) -> Batch:
        whole = np.flatnonzero(lines.is_whole)
        frame = self._split(lines, whole)
        numbers = whole + lines.block.first_line
        if joined:
            order = np.argsort(np.concatenate([whole, np.fromiter(joined, dtype=np.int64)]), kind="stable")
            more = pl.DataFrame(list(joined.values()), schema=dict.fromkeys(self.names, pl.String), orient="row")
            frame = pl.concat([frame, more])[order]
            numbers = np.sort(np.concatenate([numbers, np.fromiter(joined, dtype=np.int64) + lines.block.first_line]))
        unreadable = [(index + lines.block.first_line, reason) for index, reason in reasons]
        raw_field = self._raw_field(lines) if lines.was_changed.any() else None
        return Batch(numbers, frame, unreadable, lines.raw_line(), raw_field=raw_field, has_nul=False)

    def _split(self, lines: _Lines, whole: np.ndarray) -> pl.DataFrame:
        if not len(whole):
            return pl.DataFrame(schema=dict.fromkeys(self.names, pl.String))
        if self.dialect.count_columns == 1 and not self.dialect.is_quoted:
            return pl.DataFrame({self.names[0]: [lines.text(index) for index in whole.tolist()]})
        data = lines.data(whole)
        # A carriage return within a line would end it for pyarrow.
        has_returns = b"\r" in data and data.count(b"\r") != data.count(b"\r\n") + data.endswith(b"\r")
        table = None if has_returns else _split_by_arrow(pa.py_buffer(data), self.dialect)
        if table is None or table.height != len(whole):
            rows = [self.dialect.split(lines.text(index)) for index in whole.tolist()]
            return pl.DataFrame(rows, schema=dict.fromkeys(self.names, pl.String), orient="row")
        return table.rename(dict(zip(table.columns, self.names, strict=True)), strict=True)

    def _raw_field(self, lines: _Lines) -> Callable[[str], dict[int, bytes]]:
        first_of = {index: first for first, last in lines.spans.items() for index in range(first, last + 1)}

        numbers = np.flatnonzero(lines.was_changed).tolist()
        first_line, raw_line = lines.block.first_line, lines.raw_line()

        def find(name: str) -> dict[int, bytes]:
            column = self.names.index(name)
            found = {}
            for index in numbers:
                number = first_of.get(index, index) + first_line
                raw, _ = raw_line(number)
                fields = self.dialect.split(raw.decode("utf-8", errors="surrogateescape"))
                if fields is not None and len(fields) == len(self.names):
                    found[number] = fields[column].encode("utf-8", errors="surrogateescape")
            return found

        return find


def _split_by_arrow(data: pa.Buffer, dialect: Dialect) -> pl.DataFrame | None:
    names = [f"f{number}" for number in range(dialect.count_columns)]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            arrow_csv.ReadOptions(column_names=names, block_size=data.size + 2, use_threads=False),
            arrow_csv.ParseOptions(
                delimiter=dialect.delimiter if dialect.count_columns > 1 else "\x01",
                quote_char='"' if dialect.is_quoted else False,
                double_quote=not dialect.has_escapes,
                escape_char="\\" if dialect.has_escapes else False,
                # Each record is one line.
                newlines_in_values=False,
                ignore_empty_lines=False,
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    found = pl.from_arrow(table)
    assert isinstance(found, pl.DataFrame)
    return found


def _narrow(values: tuple[str, ...]) -> set[str] | str | None:
    if all(value.isdigit() for value in values if value) and any(values):
        return "digits"
    distinct = set(values)
    return distinct if len(distinct) <= 20 and len(values) >= 2 * len(distinct) else None


def _is_alike(fields: list[str] | None, narrow: list[set[str] | str | None]) -> bool:
    return fields is not None and all(
        kind is None or (value.isdigit() if kind == "digits" else value in kind)
        for value, kind in zip(fields, narrow, strict=False)
    )


def _joined(held: Block, block: Block) -> Block:
    data = held.data + block.data
    ends = np.concatenate([held.ends, block.ends + len(held.data)])
    return Block(data, ends, held.first_line, held.count_cut, is_torn=block.is_torn)


def _rest(block: Block, index: int) -> Block:
    """The lines from one on."""
    end = int(block.ends[index - 1]) if index else 0
    return Block(block.data[end:], block.ends[index:] - end, block.first_line + index)
