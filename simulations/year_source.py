"""The tweets of a simulated year, as a source would send them: a file a day, with planted incidents.

Usual days hold 1,500 tweets, fewer on weekends, with noise of 8 % in their number; one in five carries a label. The sample's
topics do not change in that year, so only planted changes drift: each change has a day, a size and the measures of the
monitor in which it has to show, and stays for good. Every line that is sent is written down, with the label that it has.
"""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sentiment.sample import Span, write_sample

START = date(2011, 1, 1)  # The sample's topics and news do not change from 2010 on.
HISTORY_DAYS = 40
USUAL_TWEETS, WEEKEND, NOISE = 1_500, 0.85, 0.08
POOL_DAYS, POOL_A_DAY = 31, 4_400
LABELLED_ONE_IN = 5
REPEATED_LINES = 3
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTHS = {name: number for number, name in enumerate(_MONTHS, 1)}
NDJSON_FROM = 115


@dataclass(frozen=True)
class Change:
    """A planted change of the tweets, from a day on (1 is the first of the year)."""

    day: int
    name: str
    size: float
    measures: tuple[str, ...]


CHANGES = (
    Change(45, "half as many tweets again", 1.5, ("volume",)),
    Change(85, "40 % of tweets on the topics of autumn 2009", 0.4, ("vocabulary", "score_distribution")),
    Change(125, "positive share falls by 15 points", 0.15, ("mean_probability", "score_distribution", "vocabulary")),
    Change(165, "20 % of tweets twice as long", 0.2, ("text_length", "vocabulary")),
    Change(205, "20 % of tweets about something new", 0.2, ("vocabulary", "text_length")),
    Change(
        245,
        "half of tweets written without vowels",
        0.5,
        ("estimated_accuracy", "vocabulary", "score_distribution", "text_length"),
    ),
)
CUT, SILENT, OFF, FLOOD, DAMAGED, CUT_GZIP = 20, (65, 66), (105, 106, 107), 145, 185, 225
INCIDENTS = {
    CUT: "file cut short",
    SILENT[0]: "source silent for two days",
    OFF[0]: "machine off for three days",
    NDJSON_FROM: "CSV becomes NDJSON with a new column",
    FLOOD: "20 days sent again",
    DAMAGED: "file with a block of zeros",
    CUT_GZIP: "compressed file cut short",
}


class Tweet(NamedTuple):
    """One line of the pool; `text` and the others are its bytes as collected."""

    tweet_id: int
    posted: bytes
    user: bytes
    text: bytes
    is_positive: bool


@dataclass
class Sent:
    """A file as it was put into the inbox: lines it has, and how many of them cannot be read."""

    name: str
    count_lines: int
    count_broken: int


@dataclass
class Source:
    """Sends the files of a year into an inbox."""

    inbox: Path
    labels: dict[int, tuple[date, bool]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    _contents: dict[int, bytes] = field(default_factory=dict)
    _pool: dict[date, list[Tweet]] = field(default_factory=dict)
    _autumn: list[Tweet] = field(default_factory=list)

    def send_history(self) -> None:
        """The labelled tweets of the weeks before, in one file."""
        lines = [
            csv_line(tweet, has_label=True)
            for number in range(1 - HISTORY_DAYS, 1)
            for tweet in self._tweets_of(number)
        ]
        self._put("history.csv", b"".join(lines), len(lines), 0)

    def send(self, day: int) -> None:
        """What arrives in the night after a day: mostly the file of that day."""
        if day in SILENT:
            self._contents[day] = self._write(day)
            return
        for late in SILENT if day == SILENT[-1] + 1 else ():
            self._put_whole(late)
        content = self._contents[day] = self._write(day)
        lines = content.splitlines(keepends=True)
        if day == CUT:
            # The transfer ends in the middle of a line, and is taken up again on the next day.
            (self.inbox / self._name(day)).write_bytes(content[: int(0.6 * len(content))].rstrip(b"\n"))
            return
        if day == CUT + 1:
            self._put_whole(CUT)
        if day == CUT_GZIP:
            packed = gzip.compress(content, mtime=0)
            (self.inbox / f"{self._name(day)}.gz").write_bytes(packed[: len(packed) // 2])
            return
        if day == CUT_GZIP + 1:
            self._put(f"again-{self._name(CUT_GZIP)}", self._contents[CUT_GZIP], *self._counts(CUT_GZIP))
        if day == DAMAGED:
            hole = len(content) // 2
            damaged = content[:hole] + bytes(4096) + content[hole + 4096 :]
            # What is left of the first and of the last line in the hole is one line.
            self._put(self._name(day), damaged, damaged.count(b"\n"), self._counts(day)[1] + 1)
            return
        if day == DAMAGED + 1:
            self._put(f"again-{self._name(DAMAGED)}", self._contents[DAMAGED], *self._counts(DAMAGED))
        if day == FLOOD:
            again = list(range(day - 20, day))
            self._put(
                "sent-again.ndjson",
                b"".join(self._contents[number] for number in again),
                sum(self._counts(number)[0] for number in again),
                sum(self._counts(number)[1] for number in again),
            )
        self._put(self._name(day), content, len(lines), self._counts(day)[1])
        self._contents.pop(day - 21, None)

    def _put_whole(self, day: int) -> None:
        self._put(self._name(day), self._contents[day], *self._counts(day))

    def _put(self, name: str, content: bytes, count_lines: int, count_broken: int) -> None:
        (self.inbox / name).write_bytes(content)
        self.sent.append(Sent(name, count_lines, count_broken))

    def _counts(self, day: int) -> tuple[int, int]:
        return self._contents[day].count(b"\n"), 2

    def _name(self, day: int) -> str:
        return f"{START + timedelta(days=day - 1)}.{'ndjson' if day >= NDJSON_FROM else 'csv'}"

    def _write(self, day: int) -> bytes:
        """The file of a day: its tweets, three lines twice, two that are broken."""
        tweets = self._tweets_of(day)
        has_label = self.rng.random(len(tweets)) < 1 / LABELLED_ONE_IN
        write = ndjson_line if day >= NDJSON_FROM else csv_line
        lines = [write(tweet, has_label=bool(known)) for tweet, known in zip(tweets, has_label, strict=True)]
        lines += lines[:REPEATED_LINES]
        first = lines[0]
        lines[10:10] = [
            first[: len(first) // 3].rstrip() + b"\n",
            first.replace(str(tweets[0].tweet_id).encode(), b"no id"),
        ]
        return b"".join(lines)

    def _tweets_of(self, day: int) -> list[Tweet]:
        """The tweets of a day, with all changes that have come so far; those of days before the year have numbers below 1."""
        rng, when = self.rng, START + timedelta(days=day - 1)
        size = {change.day: change.size for change in CHANGES if change.day <= day}
        usual = USUAL_TWEETS * (WEEKEND if when.weekday() >= 5 else 1.0) * size.get(45, 1.0)
        count = int(usual * np.exp(rng.normal(0, NOISE)))
        pool = self._take_pool(when)
        positive = [tweet for tweet in pool if tweet.is_positive]
        negative = [tweet for tweet in pool if not tweet.is_positive]
        count_positive = int(rng.binomial(count, 0.5 - size.get(125, 0.0)))
        tweets = [
            *(positive[place] for place in rng.permutation(len(positive))[:count_positive]),
            *(negative[place] for place in rng.permutation(len(negative))[: count - count_positive]),
        ]
        tweets.sort(key=lambda tweet: tweet.tweet_id)
        changed = [self._changed(tweet, tweets, size) for tweet in tweets]
        self.labels |= {tweet.tweet_id: (when, tweet.is_positive) for tweet in changed}
        return changed

    def _changed(self, tweet: Tweet, others: list[Tweet], sizes: dict[int, float]) -> Tweet:
        rng, text = self.rng, tweet.text
        if rng.random() < sizes.get(85, 0.0):
            text = self._like(tweet, self._autumn).text
        if rng.random() < sizes.get(165, 0.0):
            text = text + b" " + self._like(tweet, others).text
        if rng.random() < sizes.get(205, 0.0):
            text = b"at the eclipse: " + text
        if rng.random() < sizes.get(245, 0.0):
            text = re.sub(rb"(?<=[a-zA-Z])[aeiou]", b"", text)
        return Tweet(tweet.tweet_id, tweet.posted, tweet.user, text, tweet.is_positive)

    def _like(self, tweet: Tweet, others: list[Tweet]) -> Tweet:
        """Another tweet with the same label."""
        while (other := others[self.rng.integers(len(others))]).is_positive != tweet.is_positive:
            pass
        return other

    def _take_pool(self, when: date) -> list[Tweet]:
        if when not in self._pool:
            self._pool = read_pool(when, POOL_DAYS, POOL_A_DAY, 1)
        if not self._autumn:
            self._autumn = next(iter(read_pool(date(2009, 10, 1), 1, 20_000, 2).values()))
        return self._pool.pop(when)


def read_pool(first: date, days: int, rows_a_day: int, seed: int) -> dict[date, list[Tweet]]:
    """Generated tweets of some days, every id once."""
    # Positive tweets end after 89 % of the sample's time, so more days are made than are taken.
    made = int(days / 0.88) + 2
    pool: dict[date, dict[int, Tweet]] = {first + timedelta(days=number): {} for number in range(days)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.csv"
        write_sample(path, rows_a_day * made, seed=seed, span=Span(start=first, days=made), dirty=False)
        for tweet in read_lines(path):
            when = day_of(tweet.posted)
            if when in pool:
                pool[when].setdefault(tweet.tweet_id, tweet)
    return {when: list(tweets.values()) for when, tweets in pool.items()}


def read_lines(path: Path) -> Iterator[Tweet]:
    """The tweets of a generated file, with their days in UTC."""
    with path.open("rb") as file:
        for line in file:
            target, tweet_id, posted, _, user, text = line.rstrip(b"\n").split(b'","', 5)
            yield Tweet(
                int(tweet_id), posted.replace(b" PDT ", b" UTC "), user, text.removesuffix(b'"'), target == b'"4'
            )


def day_of(posted: bytes) -> date:
    """The day of a time such as `Sat Jan 01 12:00:00 UTC 2011`."""
    _, month, day, _, _, year = posted.decode().split()
    return date(int(year), MONTHS[month], int(day))


def csv_line(tweet: Tweet, *, has_label: bool) -> bytes:
    """As Sentiment140 has it."""
    target = (b"4" if tweet.is_positive else b"0") if has_label else b""
    fields = (target, str(tweet.tweet_id).encode(), tweet.posted, b"NO_QUERY", tweet.user, tweet.text)
    return b'"' + b'","'.join(fields) + b'"\n'


def ndjson_line(tweet: Tweet, *, has_label: bool) -> bytes:
    """The same, as the source sends it later: other names of nothing, but a column more."""
    _, month, day, clock, _, year = tweet.posted.decode().split()
    record = {
        "tweet_id": tweet.tweet_id,
        "posted_at": f"{year}-{MONTHS[month]:02}-{day}T{clock}Z",
        "user_name": tweet.user.decode(),
        "text": tweet.text.decode("utf-8", errors="replace"),
        "lang": "en",
    }
    if has_label:
        record["label"] = "positive" if tweet.is_positive else "negative"
    return json.dumps(record).encode() + b"\n"
