"""How times are read: every form that says by itself what it means, and two that only the whole column can decide.

`03/04/2024` is a day in March or in April: the column tells, if any of its values has a number above 12 in one place;
otherwise it is a question. Numbers are seconds, milli-, micro- or nanoseconds since 1970, by their size. Without a
zone a time is UTC unless another zone is given.

Costs on one core: 0.2 s for the 1.6 million dates of Sentiment140, 1 to 3 s for as many in other forms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import polars as pl

from sentiment.ingest.mapping.published_dates import parse_day_by_day

Order = Literal["day first", "month first"]
Unit = Literal["s", "ms", "us", "ns"]
INSTANT = pl.Datetime("us", "UTC")
# What Python's datetime can hold; polars goes further.
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

_ZONES = {
    **dict.fromkeys(("Z", "UTC", "GMT", "UT", "WET"), 0),
    **{"PDT": -7, "PST": -8, "MDT": -6, "MST": -7, "CDT": -5, "CST": -6, "EDT": -4, "EST": -5},
    **{"AKDT": -8, "AKST": -9, "HST": -10, "CET": 1, "CEST": 2, "WEST": 1, "EET": 2, "EEST": 3, "MSK": 3},
    **{"JST": 9, "KST": 9},
}
_WEEKDAYS = {name: number for number, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), start=1)}
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_ZONE = r"(?:\s*(?P<zone>Z|[A-Z]{2,4}|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?)(?:\s*\([A-Za-z ]+\))?)?"
_TIME = rf"(?:(?:[T ,]|\s-|\s·|\sat)\s*{_CLOCK}{_ZONE})?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_MONTH = r"(?P<name>[A-Za-z]{3,9})\.?"
_WEEKDAY = r"(?:(?P<weekday>[A-Za-z]{3,9})\.?,?\s+)?"
_YEAR = r"(?P<year>\d{4})"
# Excel writes 31-Jul-18.
_SHORT_YEAR = r"(?P<year>\d{4}|\d{2})"
_ISO = (
    rf"^\s*{_YEAR}[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_TIME}"
    rf"{_ZONE.replace('zone', 'behind')}\s*$"
)
_NAMED = (
    rf"^\s*{_WEEKDAY}{_DAY}[\s-]+{_MONTH},?[\s-]+{_SHORT_YEAR}{_TIME}\s*$",
    rf"^\s*{_WEEKDAY}{_MONTH}\s+{_DAY},?\s+{_YEAR}{_TIME}\s*$",
    # Twitter: the year behind the clock and the zone.
    rf"^\s*{_WEEKDAY}{_MONTH}\s+{_DAY}\s+{_CLOCK}{_ZONE}\s+{_YEAR}\s*$",
    rf"^\s*{_CLOCK}\s*[-·,]\s*{_DAY}\s+{_MONTH}\s+{_YEAR}\s*$",
    rf"^\s*{_CLOCK}\s*[-·,]\s*{_MONTH}\s+{_DAY},?\s+{_YEAR}\s*$",
)
_COMPACT = (
    r"^\s*(?P<year>(?:19|20)\d{2})(?P<month>[01]\d)(?P<day>[0-3]\d)"
    r"(?:T?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2}))?Z?\s*$"
)
# Of a day with its time; a day alone is shorter than any epoch.
_COMPACT_LENGTH = 14
NUMERIC = (
    r"^\s*(?P<first>\d{1,2})(?P<mark>[-/.])(?P<second_number>\d{1,2})[-/.](?P<year>\d{4}|\d{2})"
    rf"{_TIME}\s*$"
)
EPOCH = r"^\s*-?\d{9,19}(?:\.\d+)?\s*$"
_SCALES: dict[str, int] = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0}


@dataclass(frozen=True)
class TimePlan:
    """How a column of times is read, as far as its values do not say it by themselves."""

    order: Order | None = None
    unit: Unit | None = None
    pattern: str | None = None
    zone: str | None = None

    @property
    def sentence(self) -> str:
        """For people."""
        parts = [f"as {self.pattern}"] if self.pattern else []
        parts += [self.order] if self.order else []
        units = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
        parts += [f"{units[self.unit]} since 1970"] if self.unit else []
        parts.append(f"without a zone: {self.zone or 'UTC'}")
        return ", ".join(parts)


_BOUNDS: dict[Unit, tuple[float, float]] = {
    "s": (0, 1e11),
    "ms": (1e11, 1e14),
    "us": (1e14, 1e17),
    "ns": (1e17, np.inf),
}
# From 2000 to 2035, in seconds.
_PLAUSIBLE = (946_684_800.0, 2_051_222_400.0)
FORMATS = {
    "day-first": TimePlan(order="day first"),
    "month-first": TimePlan(order="month first"),
    "epoch-s": TimePlan(unit="s"),
    "epoch-ms": TimePlan(unit="ms"),
    "epoch-us": TimePlan(unit="us"),
    "epoch-ns": TimePlan(unit="ns"),
}
"""Names that `--date-format` takes, other than a pattern such as `%d.%m.%Y %H:%M`."""


@dataclass
class TimeSurvey:
    """What the values of a column say about day and month, and about the unit of numbers; filled batch by batch."""

    count: int = 0
    count_read: int = 0
    most_first: int = 0
    most_second: int = 0
    count_numeric: int = 0
    has_dots: bool = False
    has_short_years: bool = False
    units: dict[Unit, int] = field(default_factory=dict)
    count_plausible: int = 0
    example: str = ""

    def add(self, values: pl.Series) -> None:
        """Look at the values of a batch: strings, nulls are left out."""
        # Other forms say by themselves what they mean.
        values = values.filter(values.str.contains(r"^\s*-?\d").fill_null(False))
        self.count += len(values)
        if values.is_empty():
            return
        if values[0].isdigit() and (numbers := _as_epochs(values)) is not None:
            self._add_epochs(numbers, values[0])
            return
        is_epoch = values.str.contains(EPOCH)
        if is_epoch.any():
            epochs = values.filter(is_epoch)
            if epochs.str.len_bytes().max() >= _COMPACT_LENGTH:  # type: ignore[operator]
                epochs = epochs.filter(~epochs.str.contains(_COMPACT))
            if len(epochs):
                self._add_epochs(epochs.str.strip_chars().cast(pl.Float64, strict=False), epochs[0])
        values = values.filter(~is_epoch)
        if values.is_empty():
            return
        frame = values.alias("value").to_frame().with_columns(found=pl.col("value").str.extract_groups(NUMERIC))
        numeric = frame.filter(pl.col("found").struct.field("first").is_not_null())
        if numeric.height:
            parts = numeric["found"].struct.unnest()
            self.count_numeric += parts.height
            self.most_first = max(self.most_first, int(parts["first"].cast(pl.Int64).max()))  # type: ignore[arg-type]
            second = int(parts["second_number"].cast(pl.Int64).max())  # type: ignore[arg-type]
            self.most_second = max(self.most_second, second)
            self.has_dots |= bool((parts["mark"] == ".").any())
            self.has_short_years |= bool((parts["year"].str.len_bytes() == 2).any())
            self.example = self.example or str(numeric["value"][0])

    def _add_epochs(self, epochs: pl.Series, example: str) -> None:
        self.example = self.example or example
        sizes = epochs.abs().drop_nulls().to_numpy()
        for unit, (low, high) in _BOUNDS.items():
            if count := int(((sizes >= low) & (sizes < high)).sum()):
                self.units[unit] = self.units.get(unit, 0) + count
        for scale in (1.0, 1_000.0):
            self.count_plausible += int(((sizes >= _PLAUSIBLE[0] * scale) & (sizes < _PLAUSIBLE[1] * scale)).sum())

    @property
    def order(self) -> Order | None:
        """Day and month, where the values decide it."""
        if self.most_first > 12 >= self.most_second and not (
            self.has_short_years and self.most_first <= 31 and not self.has_dots
        ):
            return "day first"
        if self.most_second > 12 >= self.most_first:
            return "month first"
        if self.has_dots and self.most_second <= 12:
            return "day first"
        return None

    @property
    def is_plausible_epoch(self) -> bool:
        """Whether all numbers so far would be times from 2000 to 2035."""
        return self.unit in ("s", "ms") and self.count_plausible == sum(self.units.values())

    @property
    def unit(self) -> Unit | None:
        """The unit of numbers, where all have one."""
        return next(iter(self.units)) if len(self.units) == 1 else None


def _as_epochs(values: pl.Series) -> pl.Series | None:
    """Whole numbers of a size that only an epoch has, where all values are such: a tenth of the time that patterns take."""
    numbers = values.cast(pl.Int64, strict=False)
    if numbers.null_count() or numbers.min() < 10**8:  # type: ignore[operator]
        return None
    low, high = 10 ** (_COMPACT_LENGTH - 1), 10**_COMPACT_LENGTH
    return None if numbers.is_between(low, high, closed="left").any() else numbers


def looks_like_times(values: pl.Series, *, is_named: bool) -> bool:
    """Whether most of some values are times; numbers alone are taken for times only in a column that is named so."""
    values = values.drop_nulls()
    values = values.filter(values.str.strip_chars() != "")
    if values.is_empty():
        return False
    is_time = values.str.contains(NUMERIC)
    if is_named:
        is_time |= values.str.contains(EPOCH) | values.str.contains(_COMPACT)
    is_time |= parse_times(values, TimePlan(order="day first")).is_not_null()
    return bool(is_time.mean() > 0.5)  # type: ignore[operator]


def parse_times(values: pl.Series, plan: TimePlan) -> pl.Series:
    """Read a column of strings, null where unknown.

    Returns:
        Datetime in microseconds, UTC; null where unknown and where a value is in no form that the plan allows.
    """
    if isinstance(values.dtype, pl.Datetime):
        return values if values.dtype.time_zone else _at_zone(values, plan.zone)
    if plan.pattern is not None:
        return _by_pattern(values, plan)
    if len(values) and (instants := parse_day_by_day(values, _parse_plainly)) is not None:
        return instants
    distinct = values.unique()
    if len(distinct) < 0.5 * len(values):
        return values.replace_strict(distinct, _parse_each(distinct, plan), default=None, return_dtype=INSTANT)
    return _parse_each(values, plan)


def _by_pattern(values: pl.Series, plan: TimePlan) -> pl.Series:
    assert plan.pattern is not None
    has_zone = "%z" in plan.pattern or "%Z" in plan.pattern
    if has_zone:
        return (
            values.str.strip_chars()
            .str.to_datetime(plan.pattern, time_unit="us", strict=False)
            .dt.convert_time_zone("UTC")
        )
    has_clock = any(mark in plan.pattern for mark in ("%H", "%I", "%T", "%R", "%s", "%X", "%c"))
    stripped = values.str.strip_chars()
    if has_clock:
        return _at_zone(stripped.str.to_datetime(plan.pattern, time_unit="us", strict=False), plan.zone)
    return _at_zone(stripped.str.to_date(plan.pattern, strict=False).cast(pl.Datetime("us")), plan.zone)


def _at_zone(local: pl.Series, zone: str | None) -> pl.Series:
    placed = local.dt.replace_time_zone(zone or "UTC", ambiguous="earliest", non_existent="null")
    return placed.dt.convert_time_zone("UTC").cast(INSTANT)


def _parse_plainly(values: pl.Series) -> pl.Series:
    return _parse_each(values, TimePlan())


def _parse_each(values: pl.Series, plan: TimePlan) -> pl.Series:
    parsed = pl.Series(values.name, [None], dtype=INSTANT).new_from_index(0, len(values))
    patterns = [_ISO, *_NAMED, _COMPACT]
    if plan.order is not None:
        patterns.append(NUMERIC)
    for pattern in patterns:
        rows = (parsed.is_null() & values.is_not_null()).arg_true()
        if not len(rows):
            return parsed
        left = values.gather(rows)
        is_match = left.str.contains(pattern)
        if is_match.any():
            rows = rows.filter(is_match)
            parsed = parsed.scatter(rows, _compose(left.filter(is_match), pattern, plan))
    if plan.unit is not None:
        rows = (parsed.is_null() & values.str.contains(EPOCH)).fill_null(False).arg_true()
        if len(rows):
            parsed = parsed.scatter(rows, _from_epoch(values.gather(rows), plan.unit))
    return parsed


def _from_epoch(values: pl.Series, unit: Unit) -> pl.Series:
    stripped = values.str.strip_chars()
    whole = stripped.str.extract(r"^(-?\d+)", 1).cast(pl.Int64, strict=False)
    micro = whole // 1000 if unit == "ns" else whole * _SCALES[unit]
    if unit == "s":
        part = stripped.str.extract(r"\.(\d{1,6})", 1).fill_null("").str.pad_end(6, "0").cast(pl.Int64, strict=False)
        micro = micro + part
    of_unit = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": 1e19}[unit]
    is_of_unit = (whole.abs() < of_unit) & (whole.abs() >= (of_unit / 1000 if unit != "s" else 0))
    return micro.cast(INSTANT).zip_with(
        is_of_unit.fill_null(False), pl.Series([None], dtype=INSTANT).new_from_index(0, len(micro))
    )


def _parts(found: pl.DataFrame, plan: TimePlan) -> pl.DataFrame:
    """Year, month, day, hour, minute, second and fraction (microseconds) as numbers, and the zone as it is written."""
    names = set(found.columns)

    def number(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.Int64, strict=False).fill_null(0) if name in names else pl.lit(0, dtype=pl.Int64)

    month = number("month")
    if "name" in names:
        month = (
            pl.col("name").str.slice(0, 3).str.to_lowercase().replace_strict(_MONTHS, default=0, return_dtype=pl.Int64)
        )
    day = number("day")
    if "first" in names:
        first, second = number("first"), number("second_number")
        day, month = (first, second) if plan.order == "day first" else (second, first)
    year = number("year")
    year = pl.when(year < 70).then(year + 2000).when(year < 100).then(year + 1900).otherwise(year)
    hour = number("hour")
    if "half" in names:
        half = pl.col("half").str.to_lowercase()
        hour = pl.when(half == "p").then(hour % 12 + 12).when(half == "a").then(hour % 12).otherwise(hour)
    fraction = number("fraction")
    if "fraction" in names:
        fraction = (
            pl.col("fraction")
            .fill_null("")
            .str.slice(0, 6)
            .str.pad_end(6, "0")
            .cast(pl.Int64, strict=False)
            .fill_null(0)
        )
    zone = pl.coalesce(
        [pl.col(name) for name in ("zone", "behind") if name in names] or [pl.lit(None, dtype=pl.String)]
    )
    return found.select(
        year=year,
        month=month,
        day=day,
        hour=hour,
        minute=number("minute"),
        second=number("second"),
        fraction=fraction,
        zone=zone,
    )


def _compose(values: pl.Series, pattern: str, plan: TimePlan) -> pl.Series:
    """Instants from texts that match a pattern; null for a date or a clock that does not exist, or a wrong weekday."""
    found = values.str.extract_groups(pattern).struct.unnest()
    parts = _parts(found, plan)
    is_clock = parts.select((pl.col("hour") < 24) & (pl.col("minute") < 60) & (pl.col("second") < 61)).to_series()
    iso = parts.select(
        pl.concat_str(
            pl.col("year").cast(pl.String).str.zfill(4),
            pl.col("month").cast(pl.String).str.zfill(2),
            pl.col("day").cast(pl.String).str.zfill(2),
            separator="-",
        )
    ).to_series()
    midnight = iso.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    if "weekday" in found.columns:
        weekday = (
            found["weekday"]
            .str.slice(0, 3)
            .str.to_lowercase()
            .replace_strict(_WEEKDAYS, default=None, return_dtype=pl.Int64)
        )
        is_clock &= (weekday.is_null() & found["weekday"].is_null()) | (weekday == midnight.dt.weekday()).fill_null(
            False
        )
    clock = parts.select(
        ((pl.col("hour") * 3600 + pl.col("minute") * 60 + pl.col("second")) * 1_000_000 + pl.col("fraction")).cast(
            pl.Duration("us")
        )
    ).to_series()
    local = (midnight + clock).zip_with(
        is_clock, pl.Series([None], dtype=pl.Datetime("us")).new_from_index(0, len(clock))
    )
    return _shifted(local, parts["zone"], plan.zone)


def _shifted(local: pl.Series, zones: pl.Series, default: str | None) -> pl.Series:
    """Local times to UTC by their own zones, or by the default where they have none; null where a zone is not known."""
    if zones.null_count() == len(zones):
        return _at_zone(local, default)
    distinct = zones.drop_nulls().unique()
    minutes = pl.Series([_minutes(zone) for zone in distinct], dtype=pl.Int64)
    offsets = zones.replace_strict(distinct, minutes, default=None, return_dtype=pl.Int64)
    own = (local - (offsets * 60_000_000).cast(pl.Duration("us"))).dt.replace_time_zone("UTC").cast(INSTANT)
    return own if not zones.has_nulls() else own.zip_with(zones.is_not_null(), _at_zone(local, default))


def _minutes(zone: str) -> int | None:
    if zone in _ZONES:
        return _ZONES[zone] * 60
    digits = zone.removeprefix("UTC").removeprefix("GMT")
    if digits[:1] not in ("+", "-"):
        return None
    sign = -1 if digits[0] == "-" else 1
    hours, _, rest = digits[1:].partition(":")
    if not rest and len(hours) > 2:
        hours, rest = hours[:-2], hours[-2:]
    return sign * (int(hours) * 60 + int(rest or 0)) if int(hours) < 24 else None
