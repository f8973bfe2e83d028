"""How a table of delimited text is written: delimiter, quotes, number of columns; decided by what reads most lines as records.

A dialect fits a line when its fields are either free of quotes or quoted as a whole, with quotes inside doubled (RFC 4180) or
escaped by a backslash. So a semicolon in a comma-separated text is no rival: it never directly follows a quoted field.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
# The more columns, the less can chance give several lines as many.
_LEAST_SHARES = {2: 0.6, 3: 0.5, 4: 0.4}
_LEAST_SHARE_OF_MANY = 0.34
# A table without a single quote has hardly a line of another number of columns; prose has many.
_LEAST_WITHOUT_QUOTES = 0.9
_SAMPLE_LINES = 2_000
_MOST_LINES_JOINED = 50


@dataclass(frozen=True)
class Dialect:
    """Delimiter and quoting of a table; `count_columns` fields make a record.

    `is_quoted`: a field that begins with a quote ends with one; otherwise quotes are characters like any other.
    `has_escapes`: a quote inside a quoted field has a backslash before it.
    """

    delimiter: str
    is_quoted: bool
    count_columns: int
    has_escapes: bool = False

    @property
    def name(self) -> str:
        """For people."""
        if self.count_columns == 1:
            return "one column"
        quoting = (
            "quotes escaped by backslashes" if self.has_escapes else "quoted" if self.is_quoted else "without quoting"
        )
        return f"{self.count_columns} columns, separated by {DELIMITERS.get(self.delimiter, repr(self.delimiter))}, {quoting}"

    @property
    def _quoted(self) -> str:
        return r'"[^"\\]*(?:\\.[^"\\]*)*"' if self.has_escapes else r'"[^"]*(?:""[^"]*)*"'

    @property
    def _open(self) -> str:
        return r'"[^"\\]*(?:\\.[^"\\]*)*' if self.has_escapes else r'"[^"]*(?:""[^"]*)*'

    @property
    def _field(self) -> str:
        plain = rf'[^"{re.escape(self.delimiter)}]*'
        return rf"(?:{self._quoted}|{plain})"

    def record_pattern(self) -> str:
        """A whole record, for polars and for `re`."""
        if self.count_columns == 1:
            return rf'(?s)^(?:{self._quoted}|[^"]*)$'
        repeated = rf"(?:{re.escape(self.delimiter)}{self._field}){{{self.count_columns - 1}}}"
        return rf"(?s)^{self._field}{repeated}$"

    def open_pattern(self) -> str:
        """A record whose last field on this line begins with a quote and does not end."""
        if self.count_columns == 1:
            return rf"(?s)^{self._open}$"
        most = f"{{0,{self.count_columns - 1}}}" if self.count_columns else "*"
        return rf"(?s)^(?:{self._field}{re.escape(self.delimiter)}){most}{self._open}$"

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        # Possessive: a line with a broken quote must not be tried in every way.
        quoted = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"' if self.has_escapes else r'"[^"]*+(?:""[^"]*+)*+"'
        plain = r'[^"]*+' if self.count_columns == 1 else rf'[^"{re.escape(self.delimiter)}]*+'
        field, mark = rf"{quoted}|{plain}", re.escape(self.delimiter)
        if self.count_columns == 1:
            return re.compile(field, re.S), re.compile(rf"\A({field})\Z", re.S)
        return re.compile(rf"(?:{field})(?:{mark}(?:{field}))*+", re.S), re.compile(rf"(?:\A|{mark})({field})", re.S)

    def split(self, line: str) -> list[str] | None:
        """The fields of a line, quotes undone; None where its quotes do not pair."""
        if not self.is_quoted or '"' not in line:
            return line.split(self.delimiter) if self.count_columns != 1 else [line]
        record, fields = self._patterns
        if not record.fullmatch(line):
            return None
        return [self._unquoted(field) for field in fields.findall(line)]

    def _unquoted(self, field: str) -> str:
        if not field.startswith('"'):
            return field
        if self.has_escapes:
            return re.sub(r"\\(.)", r"\1", field[1:-1], flags=re.S)
        return field[1:-1].replace('""', '"')


def find_dialect(lines: Sequence[str], delimiter: str | None = None) -> Dialect:
    """The dialect in which most lines are records of one number of columns.

    Args:
        lines: the first lines of a file, without line breaks.
        delimiter: given by the user; only the quoting is looked for.
    """
    sample = [line for line in lines[:_SAMPLE_LINES] if line]
    wanted = [delimiter] if delimiter else list(DELIMITERS)
    found = [pair for mark in wanted for pair in _ways_to_quote(sample, mark)]
    found = [(share, dialect) for share, dialect in found if dialect.count_columns > 1]
    if not delimiter:
        found = [pair for pair in found if pair[0] >= _LEAST_SHARES.get(pair[1].count_columns, _LEAST_SHARE_OF_MANY)]
    if not found:
        return one_column(sample)
    best = max(share for share, _ in found)
    # Of those that read as many lines, more columns say more; commas occur in texts as well, so they come last.
    rivals = [dialect for share, dialect in found if share >= best - 0.02]
    rank = {mark: number for number, mark in enumerate(["\t", ";", "|", ","])}
    rivals.sort(key=lambda dialect: (-dialect.count_columns, rank.get(dialect.delimiter, 0)))
    chosen = rivals[0]
    by_share = {dialect: share for share, dialect in found}
    same = [
        dialect
        for dialect in by_share
        if dialect.delimiter == chosen.delimiter and dialect.count_columns == chosen.count_columns
    ]
    if len(same) == 2:
        chosen = _choose_quoting(sample, by_share, same)
    if not chosen.is_quoted and _is_enclosed(sample, chosen.delimiter):
        # Only lines with broken quotes are left to judge by.
        chosen = replace(chosen, is_quoted=True)
    return _with_escapes(sample, chosen)


def _is_enclosed(sample: Sequence[str], delimiter: str) -> bool:
    fields = [field for line in sample[:100] for field in line.split(delimiter) if field]
    return sum(len(field) > 1 and field[0] == field[-1] == '"' for field in fields) > 0.5 * len(fields)


def _ways_to_quote(sample: Sequence[str], delimiter: str) -> list[tuple[float, Dialect]]:
    """The shares of a delimiter with quotes and without, the latter only if quotes do not account for what it reads."""
    quoted, plain = (_measure(sample, delimiter, is_quoted) for is_quoted in (True, False))
    # Delimiters within quoted fields make columns where quotes are not read.
    has_more = plain[1].count_columns > quoted[1].count_columns
    return [quoted] if has_more and quoted[0] >= plain[0] else [quoted, plain]


def _measure(sample: Sequence[str], delimiter: str, is_quoted: bool) -> tuple[float, Dialect]:
    """The share of records with the commonest number of columns, and the dialect with that number."""
    dialect = Dialect(delimiter, is_quoted, 0)
    counts: Counter[int] = Counter()
    for record in _records(sample, dialect) if is_quoted else sample:
        fields = dialect.split(record)
        counts[len(fields) if fields is not None else 0] += 1
    total = counts.total()
    columns, most = max(counts.items(), key=lambda item: (item[1] * (item[0] > 1), item[1], item[0]), default=(1, 0))
    # A line whose quotes do not pair was not read at all.
    share = most / max(1, total) if columns else 0.0
    return share, replace(dialect, count_columns=max(1, columns))


def _records(sample: Sequence[str], dialect: Dialect) -> Iterator[str]:
    """The lines, those of a quoted field with line breaks in it joined to one."""
    opens = re.compile(dialect.open_pattern())
    parts: list[str] = []
    for line in sample:
        parts.append(line)
        if len(parts) > 1 and '"' not in line and len(parts) < _MOST_LINES_JOINED:
            continue
        whole = "\n".join(parts)
        if len(parts) < _MOST_LINES_JOINED and '"' in whole and opens.match(whole):
            continue
        if len(parts) > 1 and dialect.split(whole) is None:
            yield from parts
        else:
            yield whole
        parts = []
    yield from parts


def is_prose(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether a table without a header is lines of prose whose commas divide nothing: a table quotes a text that has some."""
    sample = [line for line in lines[:_SAMPLE_LINES] if line]
    if (
        dialect.delimiter != ","
        or dialect.count_columns < 2
        or any(line.startswith('"') or ',"' in line for line in sample)
    ):
        return False
    count_whole = sum(line.count(",") == dialect.count_columns - 1 for line in sample)
    return count_whole < _LEAST_WITHOUT_QUOTES * len(sample)


def one_column(sample: Sequence[str]) -> Dialect:
    """Texts alone: quoted where each record that begins with a quote is a quoted field, and one can be nothing else."""
    quoted = Dialect("\n", True, 1)
    records = list(_records(sample, quoted))
    begins = [record for record in records if record.startswith('"')]
    if begins and quoted.split(begins[-1]) is None:
        del begins[-1]  # The sample may end within it.
    is_possible = bool(begins) and all(quoted.split(record) is not None for record in begins)
    others = [record for record in records if not record.startswith('"')]
    has_doubled = any('""' in record[1:-1] for record in begins)
    # Written with quotes just where a delimiter is in the text.
    is_minimal = len(begins) > 1 and any(
        all(mark in record for record in begins) and not any(mark in record for record in others) for mark in DELIMITERS
    )
    is_quoted = is_possible and (has_doubled or len(begins) > 0.9 * len(records) or is_minimal)
    return replace(quoted, is_quoted=is_quoted)


def _choose_quoting(sample: Sequence[str], by_share: dict[Dialect, float], same: list[Dialect]) -> Dialect:
    """Whether quotes enclose fields: tables with tabs are often written without, and texts may begin with a quotation."""
    quoted = next(dialect for dialect in same if dialect.is_quoted)
    plain = next(dialect for dialect in same if not dialect.is_quoted)
    if abs(by_share[quoted] - by_share[plain]) > 0.02:
        return max(same, key=lambda dialect: by_share[dialect])
    count_enclosed: Counter[int] = Counter()
    count_all: Counter[int] = Counter()
    for line in sample:
        for number, field in enumerate(line.split(plain.delimiter)):
            if field:
                count_all[number] += 1
                is_enclosed = len(field) > 1 and field[0] == field[-1] == '"'
                count_enclosed[number] += is_enclosed
                if is_enclosed and '""' in field[1:-1]:
                    return quoted
    if not any(count_enclosed.values()):
        # Nothing is quoted here; a comma or a line break further down would have to be.
        return plain if plain.delimiter == "\t" else quoted
    is_whole = any(count_enclosed[number] >= 0.9 * count_all[number] for number in count_all)
    return quoted if is_whole or plain.delimiter != "\t" else plain


def _with_escapes(sample: Sequence[str], chosen: Dialect) -> Dialect:
    if not chosen.is_quoted or not any('\\"' in line for line in sample):
        return chosen
    escaped = replace(chosen, has_escapes=True)
    counts = [
        sum((fields := dialect.split(line)) is not None and len(fields) == chosen.count_columns for line in sample)
        for dialect in (chosen, escaped)
    ]
    return escaped if counts[1] > counts[0] else chosen
