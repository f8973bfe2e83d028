"""What the columns of a file hold: gathered batch by batch, over the whole file, at a small part of the cost of reading it.

The first batch shows which columns may be labels, times or ids at all; of those every value counts, of the others a sample.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from sentiment.ingest.mapping import labels, names
from sentiment.ingest.mapping.times import TimeSurvey, looks_like_times
from sentiment.ingest.readers.batch import Batch

_SAMPLE_ROWS = 1_000
_MOST_SAMPLES = 20_000
_MOST_VALUES = 60
_LONGEST_LABEL = 60
_FLOAT_ID = r"^\d+(?:\.\d+)?[eE]\+?\d+$|^\d{16,}\.\d*$"
_IS_DIGITS = r"^\d{1,19}$"


@dataclass
class ColumnSurvey:
    """What one column holds."""

    name: str
    count: int = 0
    count_given: int = 0
    count_not_text: int = 0
    count_not_string: int = 0
    is_instant: bool = False
    values: Counter[str] | None = None
    times: TimeSurvey | None = None
    count_digits: int = 0
    count_whole_ids: int = 0
    count_floats: int = 0
    largest_float: str = ""
    is_id: bool = False
    languages: Counter[str] | None = None
    sampled: int = 0
    words: float = 0.0
    longest: int = 0
    letters: float = 0.0
    distinct: float = 0.0
    numbers: float = 0.0
    least_number: float | None = None

    @property
    def is_given(self) -> float:
        """Share of rows that have a value."""
        return self.count_given / max(1, self.count)


@dataclass
class Survey:
    """What the columns of a file hold so far."""

    columns: dict[str, ColumnSurvey] = field(default_factory=dict)
    samples: list[pl.DataFrame] = field(default_factory=list)
    count_rows: int = 0
    count_unreadable: int = 0
    thinning: int = 1
    of_folders: frozenset[str] = frozenset()

    def add(self, batch: Batch) -> None:
        """Take in one batch."""
        self.count_rows += batch.columns.height if batch.columns.width else 0
        self.count_unreadable += len(batch.unreadable)
        self.of_folders |= batch.of_folders
        if not len(batch.line_numbers):
            return
        is_first = not self.columns
        sample = _sample(batch.columns, 2 * _SAMPLE_ROWS if is_first else max(1, _SAMPLE_ROWS // self.thinning))
        self.samples.append(_detached(sample.select(pl.all().cast(pl.String))))
        if sum(frame.height for frame in self.samples) > _MOST_SAMPLES:
            # Half of it, and half as much of what follows: rows from all parts of the file.
            self.samples = [self.sample().gather_every(2)]
            self.thinning *= 2
        before = self.count_rows - batch.columns.height
        for name in batch.columns.columns:
            values = batch.columns[name]
            if name not in self.columns:
                self.columns[name] = _first_look(name, sample[name], before)
            self._take_in(self.columns[name], values, batch)
        for name, column in self.columns.items():
            if name not in batch.columns.columns:
                column.count += batch.columns.height

    def _take_in(self, column: ColumnSurvey, values: pl.Series, batch: Batch) -> None:
        column.count += len(values)
        if values.dtype != pl.String:
            column.count_given += len(values) - values.null_count()
            return
        column.count_given += int((values.str.len_bytes() > 0).sum())
        other = batch.not_text.get(column.name)
        column.count_not_text += int(other.sum()) if other is not None else 0
        other = batch.not_string.get(column.name)
        column.count_not_string += int(other.sum()) if other is not None else 0
        if column.values is not None:
            _count_values(column, values)
        if column.times is not None:
            column.times.add(values)
        if column.is_id:
            _count_ids(column, values)
        if column.languages is not None:
            column.languages.update({v: c for v, c in values.drop_nulls().value_counts(name="count").iter_rows() if v})

    def named(self) -> dict[str, ColumnSurvey]:
        """The columns of the file by name, without the placeholder for objects without any key."""
        left_out = {"\0", *self.of_folders}
        return {name: column for name, column in self.columns.items() if name not in left_out}

    def sample(self) -> pl.DataFrame:
        """Rows from all parts of the file, every column as strings."""
        return pl.concat(self.samples, how="diagonal") if self.samples else pl.DataFrame()


def _count_values(column: ColumnSurvey, values: pl.Series) -> None:
    """Count the values of a column that may be labels; give up where there are too many."""
    assert column.values is not None
    counts = values.alias("value").value_counts(name="count")
    if len(counts) > 4 * _MOST_VALUES and column.count > 10 * _MOST_VALUES:
        column.values = None
        return
    forms = labels.canonical(counts["value"])
    for form, count in zip(forms, counts["count"], strict=True):
        if form is not None:
            column.values[form] += count
    if len(column.values) > 2 * _MOST_VALUES:
        column.values = None


def _count_ids(column: ColumnSurvey, values: pl.Series) -> None:
    """Count what is a whole number, and notice what went through a floating-point one."""
    count_digits = int(values.str.contains(_IS_DIGITS).sum())
    column.count_digits += count_digits
    if count_digits < len(values):
        floats = values.filter(values.str.contains(_FLOAT_ID).fill_null(False))
        column.count_floats += len(floats)
        if len(floats) and not column.largest_float:
            column.largest_float = floats[0]
    if column.longest > 16:
        column.count_whole_ids += int((values.str.ends_with("000") & (values.str.len_bytes() > 16)).sum())


def _sample(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    step = max(1, frame.height // rows)
    return frame.gather_every(step) if step > 1 else frame


def _detached(frame: pl.DataFrame) -> pl.DataFrame:
    """A copy that does not keep the batch in memory, as the strings of a slice do."""
    # Arrow cannot pass on a name that holds a zero byte, so it gets none.
    arrays = [column.alias("").to_arrow(compat_level=pl.CompatLevel.oldest()) for column in frame.iter_columns()]
    return pl.DataFrame({name: pl.Series(name, array) for name, array in zip(frame.columns, arrays, strict=True)})


def _first_look(name: str, sample: pl.Series, count_before: int) -> ColumnSurvey:
    column = ColumnSurvey(name, count=count_before)
    is_named_date = names.rank(name, "date") is not None
    if sample.dtype != pl.String:
        column.is_instant = True
        return column
    given = sample.drop_nulls()
    given = given.filter(given.str.strip_chars() != "")
    column.sampled = len(given)
    if names.rank(name, "language") is not None:
        column.languages = Counter()
    if given.is_empty():
        column.values = Counter()
        column.is_id = names.rank(name, "id") is not None
        column.times = TimeSurvey() if is_named_date else None
        return column
    lengths = given.str.len_chars()
    column.longest = int(lengths.max())  # type: ignore[arg-type]
    column.words = float(given.str.count_matches(r"\S+").mean())  # type: ignore[arg-type]
    column.letters = float(given.str.contains(r"\p{L}").mean())  # type: ignore[arg-type]
    column.distinct = given.n_unique() / len(given)
    column.numbers = float(given.str.contains(r"^\s*-?\d+(?:[.,]\d+)?\s*$").mean())  # type: ignore[arg-type]
    if column.longest <= _LONGEST_LABEL:
        forms = labels.canonical(given)
        if forms.n_unique() <= _MOST_VALUES:
            column.values = Counter()
    is_candidate = column.words < 1.2 and not names.is_known(name)
    is_like_id = column.numbers > 0.5 or (column.distinct > 0.5 and column.numbers + column.letters > 0.5)
    column.is_id = names.rank(name, "id") is not None or (is_candidate and is_like_id)
    if column.longest <= 60 and looks_like_times(given.head(300), is_named=is_named_date or name.startswith("column ")):
        column.times = TimeSurvey()
    return column
