"""Dates in the form of Sentiment140's published file, in whole columns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import polars as pl

# `Mon Apr 06 22:19:45 PDT 2009`: how long it is, and where the time of day stands.
_PUBLISHED_LENGTH = 28
_PUBLISHED_CLOCK = slice(11, 19)
_MOST_DAYS_A_ROW = 0.1


# A few days come again in every block, and to compile the patterns takes longer than to parse them.
_known: dict[str, datetime | None] = {}
_MOST_KNOWN = 10_000


def _parsed(days: list[str], parse_each: Callable[[pl.Series], pl.Series]) -> pl.Series:
    found = {day: _known[day] for day in days if day in _known}
    new = [day for day in dict.fromkeys(days) if day not in found]
    if new:
        found.update(zip(new, parse_each(pl.Series(new, dtype=pl.String)).to_list(), strict=True))
        if len(_known) > _MOST_KNOWN:
            _known.clear()
        _known.update({day: found[day] for day in new})
    return pl.Series([found[day] for day in days], dtype=pl.Datetime("us", "UTC"))


def parse_day_by_day(dates: pl.Series, parse_each: Callable[[pl.Series], pl.Series]) -> pl.Series | None:
    """A quarter of the time where every date has the form of the published file and most days are the line before's: each
    run of one day is parsed once, and the time of day is arithmetic. None where that does not hold."""
    lengths = dates.str.len_bytes()
    if dates.has_nulls() or lengths.min() != _PUBLISHED_LENGTH or lengths.max() != _PUBLISHED_LENGTH:
        return None
    data = dates.str.join("").to_arrow().buffers()[2]
    letters = np.frombuffer(data, dtype=np.uint8).reshape(-1, _PUBLISHED_LENGTH)
    clock = letters[:, _PUBLISHED_CLOCK].T.astype(np.int32) - ord("0")
    colons, digits = clock[[2, 5]], clock[[0, 1, 3, 4, 6, 7]]
    hours, minutes, seconds = 10 * digits[::2] + digits[1::2]
    is_clock = digits.min() >= 0 and digits.max() <= 9 and (colons == ord(":") - ord("0")).all()
    if not is_clock or hours.max() > 23 or minutes.max() > 59 or seconds.max() > 59:
        return None
    is_other_day = np.zeros(len(dates), dtype=bool)
    for part in (letters[:, : _PUBLISHED_CLOCK.start], letters[:, _PUBLISHED_CLOCK.stop :]):
        is_other_day[1:] |= (part[1:] != part[:-1]).any(axis=1)
    firsts = dates.gather(np.flatnonzero(is_other_day | (np.arange(len(dates)) == 0)))
    if len(firsts) > max(1, len(dates) * _MOST_DAYS_A_ROW):
        return None
    before, behind = firsts.str.slice(0, _PUBLISHED_CLOCK.start), firsts.str.slice(_PUBLISHED_CLOCK.stop)
    midnights = _parsed((before + "00:00:00" + behind).to_list(), parse_each)
    since_midnight = pl.Series((3600 * hours + 60 * minutes + seconds) * np.int64(1_000_000)).cast(pl.Duration("us"))
    return (midnights.gather(np.cumsum(is_other_day)) + since_midnight).alias(dates.name)
