"""Lays generated tweets out as lines of a file: times, ids, users and columns around the texts.

A row of a stretch knows its share of the file's time span, and from that its time (fewer tweets in the morning, more in
the evening) and its id: nothing is sorted or remembered.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from sentiment.errors import InputError
from sentiment.sample import flaws
from sentiment.sample.compose import LABEL_NOISE, STRENGTH_SHARE, Composer
from sentiment.sample.flaws import Column, Flaws
from sentiment.sample.fragments import FragmentTable
from sentiment.sample.vocabulary import Choices, Vocabulary

EPOCH = date(2009, 4, 6)
_FIRST_ID = 1_467_810_369
_LOWEST_ID = 10**8
_IDS_PER_SECOND, _ID_KINDS = 128, 4
_NEUTRAL_SHARE = 0.28
# Share of tweets with an emoticon and with a trailing blank, where emoticons are kept; where they were cut out of the
# text, most of the blanks before them stayed.
_EMOTICON_SHARE, _BLANK_SHARE, _BLANK_SHARE_AFTER_CUT = 0.2, 0.1, 0.6
# Tweets an hour, relative, from midnight on.
_HOURS = [
    1.1,
    0.9,
    0.7,
    0.6,
    0.5,
    0.5,
    0.6,
    0.8,
    0.9,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.1,
    1.2,
    1.3,
    1.4,
    1.5,
    1.5,
    1.4,
]
_USER_POOL = 1_000_000
# Not strftime: its names follow the locale.
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Stretch:
    """Rows that follow each other in time, from the start to `span` (a share of the file's time)."""

    label: int | None  # 1, -1; 0: each row its own, neutral ones among them; None: each row its own, not written
    rows: int
    offset: int
    span: float


@dataclass(frozen=True)
class Lines:
    """A chunk of rows: the label and the polarity that the text expresses (rows,), fragment numbers (rows, columns)."""

    label: np.ndarray
    truth: np.ndarray
    numbers: np.ndarray

    @property
    def text(self) -> np.ndarray:
        """A view of the columns of the text."""
        return self.numbers[:, Column.TEXT : -1]


class _Language:
    """All that does not depend on the file: a third of a second to build, so it is built once."""

    def __init__(self) -> None:
        table = self.table = FragmentTable()
        self.vocabulary = Vocabulary(table)
        self.composer = Composer(self.vocabulary)
        self.flaws = Flaws(self.vocabulary)
        marks = self.vocabulary.phrases["marks"]
        self.emoticons = {
            (kind, polarity): Choices([self.vocabulary.words(marks[f"{kind}_{name}"])])
            for polarity, name in ((1, "positive"), (-1, "negative"))
            for kind in ("emoticons", "slipped")
        }
        self.bare, self.capital = self.vocabulary.opening_variants()
        self.minutes = table.add_all([f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60)])
        self.two, self.three, self.four = (
            table.add_all([f"{number:0{digits}}" for number in range(10**digits)]) for digits in (2, 3, 4)
        )
        self.targets = dict(zip((-1, 0, 1, None), table.add_all(['"0","', '"2","', '"4","', '"","']), strict=True))
        self.no_query, self.blank, self.line_end = table.add("NO_QUERY"), table.add(" "), table.add('"\n')
        self.separator, self.user_open = table.add('","'), table.add('","generated_')
        table.freeze()


@functools.cache
def language() -> _Language:
    """The words and flaws that all files share."""
    return _Language()


class LineBuilder:
    """Builds the lines of one file."""

    def __init__(self, rows: int, start: date, days: int, first_id: int | None, zone: str) -> None:
        if rows < 1 or days < 1:
            raise InputError(f"Found {rows} rows and {days} days to generate; both have to be at least 1.")
        self.days, self.start_day = days, (start - EPOCH).days
        self._first_id = _FIRST_ID + self.start_day * 86_400 * _IDS_PER_SECOND if first_id is None else first_id
        if self._first_id < _LOWEST_ID:
            what = "the default for that start date" if first_id is None else "what was given"
            raise InputError(f"The first id, {what}, is {self._first_id}; give one of at least {_LOWEST_ID}.")
        # Neighbours stay eight steps apart on average, so that ids rise strictly also in the busiest hour.
        self._steps_per_second = max(_IDS_PER_SECOND // _ID_KINDS, -(-8 * rows // (days * 86_400)))
        self._language = language()
        table = self.table = self._language.table.copy()
        dates = [start + timedelta(days=day) for day in range(days)]
        self._dates = table.add_all(
            [f"{_WEEKDAYS[day.weekday()]} {_MONTHS[day.month - 1]} {day.day:02} " for day in dates]
        )
        self._zones = table.add_all([f' {zone} {day.year}","' for day in dates])
        last_id = self._first_id + _ID_KINDS * (self._steps_per_second * days * 86_400 + 1)
        self._lowest_high = self._first_id // _LOWEST_ID
        self._high = table.add_all([str(high) for high in range(self._lowest_high, last_id // _LOWEST_ID + 1)])
        table.freeze()
        self._hours = np.concatenate([[0.0], np.cumsum(_HOURS) / np.sum(_HOURS)])

    def build(self, rng: np.random.Generator, stretch: Stretch, share: np.ndarray) -> Lines:
        """Lines at these shares of the file's time span (rows,), ascending."""
        words, rows = self._language, len(share)
        keeps_emoticons = stretch.label in (0, None)
        strength = rng.choice(len(STRENGTH_SHARE), rows, p=STRENGTH_SHARE)
        label = np.full(rows, stretch.label) if stretch.label else rng.choice([-1, 1], rows)
        truth = np.where(rng.random(rows) < LABEL_NOISE[strength], -label, label)
        if stretch.label == 0:
            label = np.where(rng.random(rows) < _NEUTRAL_SHARE, 0, label)
            truth = label.copy()
        day_float = share * self.days
        day = day_float.astype(np.int64)
        clock = np.interp(day_float - day, self._hours, np.arange(25)) * 3600
        tweets = words.composer.tweets(rng, truth, strength, self.start_day + day)
        every, first = np.arange(rows), (tweets.text != 0).argmax(axis=1)
        opening = tweets.text[every, first]
        tweets.text[every, first] = np.where(rng.random(rows) < 0.45, words.capital[opening], words.bare[opening])
        step = ((day * 86_400 + clock) * self._steps_per_second).astype(np.int64)
        # No id comes by chance under both labels, nor in a labelled and in a daily file of the same dates.
        tweet_id = self._first_id + _ID_KINDS * step + {-1: 0, 1: 1, None: 2, 0: 3}[stretch.label]
        second = clock.astype(np.int64)
        user = (rng.random(rows) ** 2 * _USER_POOL).astype(np.int64)

        width = tweets.text.shape[1]
        numbers = np.zeros((rows, Column.TEXT + width + 4), dtype=np.int32)
        shown = np.array([words.targets[value] for value in (-1, 0, 1)])[label + 1]
        numbers[:, Column.TARGET] = words.targets[None] if stretch.label is None else shown
        numbers[:, Column.ID_HIGH] = self._high[tweet_id // _LOWEST_ID - self._lowest_high]
        numbers[:, Column.ID_MIDDLE] = words.four[tweet_id // 10_000 % 10_000]
        numbers[:, Column.ID_LOW] = words.four[tweet_id % 10_000]
        numbers[:, Column.AFTER_ID] = numbers[:, Column.TEXT_OPEN] = words.separator
        numbers[:, Column.DAY], numbers[:, Column.ZONE_YEAR] = self._dates[day], self._zones[day]
        numbers[:, Column.MINUTE], numbers[:, Column.SECOND] = words.minutes[second // 60], words.two[second % 60]
        numbers[:, Column.QUERY] = (
            words.vocabulary.topics.queries[tweets.topic] if stretch.label == 0 else words.no_query
        )
        numbers[:, Column.USER_OPEN] = words.user_open
        numbers[:, Column.USER_HIGH], numbers[:, Column.USER_LOW] = words.three[user // 1000], words.three[user % 1000]
        numbers[:, Column.TEXT : Column.TEXT + width] = tweets.text
        numbers[:, -1] = words.line_end
        lines = Lines(label, truth, numbers)
        self._end_texts(rng, lines, keeps_emoticons)
        return lines

    def _end_texts(self, rng: np.random.Generator, lines: Lines, keeps_emoticons: bool) -> None:
        """Emoticons, which agree with the label and not with the text, and trailing blanks."""
        rows = len(lines.label)
        kind, share = ("emoticons", _EMOTICON_SHARE) if keeps_emoticons else ("slipped", flaws.SLIPPED_EMOTICONS_RATE)
        has_emoticon = rng.random(rows) < share
        for polarity in (1, -1):
            chosen = np.flatnonzero(has_emoticon & (lines.label == polarity))
            lines.text[chosen, flaws.EMOTICON] = self._language.emoticons[kind, polarity].at(rng.random(len(chosen)))
        has_blank = rng.random(rows) < (_BLANK_SHARE if keeps_emoticons else _BLANK_SHARE_AFTER_CUT)
        lines.text[has_blank, flaws.BLANK] = self._language.blank
