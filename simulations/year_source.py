"""The tweets of a simulated year, as three sources would send them: a file a day each, with planted incidents.

Usual days hold 1,500 tweets, fewer on weekends, with noise of 8 % in their number; one in seven is neutral, one in five carries a
label. The sample's topics do not change in that year, so only planted changes drift: each change has a day, a size and the
measures of the monitor in which it has to show, and stays for good. Every line that is sent is written down, with the label
that it has. What the files look like is in `simulations.year_layouts`.
"""

from __future__ import annotations

import gzip
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sentiment.sample import Span, write_gold_sample, write_sample
from simulations.year_layouts import BROKEN, MONTHS, NAMES, SHARES, Line, file_of, known_ids, suffix_of

START = date(2011, 1, 1)  # The sample's topics and news do not change from 2010 on.
HISTORY_DAYS = 40
USUAL_TWEETS, WEEKEND, NOISE = 1_500, 0.85, 0.08
NEUTRAL_ONE_IN = 7
POOL_DAYS, POOL_A_DAY, NEUTRAL_TEXTS = 31, 4_800, 30_000
LABELLED_ONE_IN = 5
REPEATED_LINES = 3
KEPT_DAYS = 21
LEAVERS = tuple(f"leaver_{number}" for number in range(6))
"""People who write a tweet in 400 each, and ask to be forgotten one after the other."""


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
CUT, SILENT, OFF, NDJSON_FROM, FLOOD, DAMAGED, CUT_GZIP, WITHDRAWN = (
    20,
    (65, 66),
    (105, 106, 107),
    115,
    145,
    185,
    225,
    275,
)
INCIDENTS = {
    CUT: "file cut short",
    SILENT[0]: "sources silent for two days",
    OFF[0]: "machine off for three days",
    NDJSON_FROM: "CSV becomes NDJSON with a new column",
    FLOOD: "20 days sent again",
    DAMAGED: "file with a block of zeros",
    CUT_GZIP: "compressed file cut short",
    WITHDRAWN: "file withdrawn, and sent again",
}


class Tweet(NamedTuple):
    """One line of the pool; `text` and the others are its bytes as collected."""

    tweet_id: int
    posted: bytes
    user: bytes
    text: bytes
    label: str


@dataclass
class Sent:
    """A file as it was put into the inbox: lines it has, how many cannot be read, and how many each leaver wrote."""

    name: str
    count_lines: int
    count_broken: int
    by_leaver: dict[str, int] = field(default_factory=dict)


@dataclass
class Source:
    """Sends the files of a year into an inbox and its folders."""

    inbox: Path
    owner: tuple[int, int] | None = None
    labels: dict[int, str] = field(default_factory=dict)
    leavers: dict[int, str] = field(default_factory=dict)
    by_day: dict[int, list[int]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    _contents: dict[tuple[str, int], tuple[bytes, Sent]] = field(default_factory=dict)
    _pool: dict[date, list[Tweet]] = field(default_factory=dict)
    _neutral: list[bytes] = field(default_factory=list)
    _autumn: list[Tweet] = field(default_factory=list)
    _sent_by: dict[str, int] = field(default_factory=dict)

    def send_history(self) -> None:
        """The labelled tweets of the weeks before, in one file of each source."""
        tweets = [tweet for number in range(1 - HISTORY_DAYS, 1) for tweet in self._tweets_of(number)]
        for name, own in self._shared(tweets).items():
            lines = [Line(*given, has_label=True) for given in own]
            self._put(f"{name}/history{suffix_of(name, 0)}", file_of(name, 0, lines, broken=False), lines, 0)

    def send(self, day: int) -> None:
        """What arrives in the night after a day: mostly a file of each source."""
        self._write(day)
        if day in SILENT:
            return
        for late in SILENT if day == SILENT[-1] + 1 else ():
            self._put_whole(late)
        for name in NAMES[1:]:
            self._put_again(name, day)
        content, sent = self._contents["", day]
        if day == CUT:
            # The transfer ends in the middle of a line, and is taken up again on the next day.
            self._place(sent.name, content[: int(0.6 * len(content))].rstrip(b"\n"))
            return
        if day == CUT + 1:
            self._put_again("", CUT)
        if day == CUT_GZIP:
            packed = gzip.compress(content, mtime=0)
            self._place(f"{sent.name}.gz", packed[: len(packed) // 2])
            return
        if day == DAMAGED:
            hole = len(content) // 2
            damaged = content[:hole] + bytes(4096) + content[hole + 4096 :]
            self._place(sent.name, damaged)
            # What is left of the first and of the last line in the hole is one line.
            self.sent.append(Sent(sent.name, damaged.count(b"\n"), sent.count_broken + 1, sent.by_leaver))
            return
        for before in (DAMAGED, CUT_GZIP):
            if day == before + 1:
                self._put_again("", before, prefix="again-")
        if day == FLOOD:
            self._flood(day)
        self._put_again("", day)
        for name in NAMES:
            self._contents.pop((name, day - KEPT_DAYS), None)

    def name_of_withdrawn(self) -> str:
        """The file that is withdrawn, below the inbox."""
        return f"{NAMES[1]}/{START + timedelta(days=WITHDRAWN - 1)}{suffix_of(NAMES[1], WITHDRAWN)}"

    def send_withdrawn_again(self) -> None:
        """Send the file that was withdrawn under another name."""
        _, sent = self._contents[NAMES[1], WITHDRAWN]
        (self.inbox / sent.name).unlink()
        self.sent.remove(sent)
        self._put_again(NAMES[1], WITHDRAWN, prefix="again-")

    def _flood(self, day: int) -> None:
        again = [self._contents["", number] for number in range(day - 20, day)]
        whole = Sent("sent-again.ndjson", sum(s.count_lines for _, s in again), sum(s.count_broken for _, s in again))
        for _, sent in again:
            for who, count in sent.by_leaver.items():
                whole.by_leaver[who] = whole.by_leaver.get(who, 0) + count
        self._place(whole.name, b"".join(content for content, _ in again))
        self.sent.append(whole)

    def _put_whole(self, day: int) -> None:
        for name in NAMES:
            self._put_again(name, day)

    def _put_again(self, source: str, day: int, prefix: str = "") -> None:
        content, sent = self._contents[source, day]
        if prefix:
            folder, _, name = sent.name.rpartition("/")
            sent = Sent(f"{folder}/{prefix}{name}".lstrip("/"), sent.count_lines, sent.count_broken, sent.by_leaver)
        self._place(sent.name, content)
        self.sent.append(sent)

    def _put(self, name: str, content: bytes, lines: list[Line], count_broken: int) -> None:
        name = name.lstrip("/")
        self._place(name, content)
        self.sent.append(Sent(name, len(lines) + count_broken, count_broken, _by_leaver(lines)))

    def _place(self, name: str, content: bytes) -> None:
        path = self.inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        if self.owner is not None:
            os.chown(path, *self.owner)
            os.chown(path.parent, *self.owner)

    def _write(self, day: int) -> None:
        """The files of a day: its tweets, three lines twice in each, and some that are broken."""
        for name, own in self._shared(self._tweets_of(day)).items():
            has_label = self.rng.random(len(own)) < 1 / LABELLED_ONE_IN
            lines = [Line(*given, has_label=bool(known)) for given, known in zip(own, has_label, strict=True)]
            lines += lines[:REPEATED_LINES]
            file_name = f"{name}/{START + timedelta(days=day - 1)}{suffix_of(name, day)}".lstrip("/")
            sent = Sent(file_name, len(lines) + BROKEN[name], BROKEN[name], _by_leaver(lines))
            self._contents[name, day] = file_of(name, day, lines, broken=True), sent

    def _shared(self, tweets: list[Tweet]) -> dict[str, list[tuple[int | str, Tweet]]]:
        """The tweets of each source with the ids that it gives; those of the named ones count from 1, each for itself."""
        chosen = self.rng.choice(len(NAMES), len(tweets), p=SHARES)
        found: dict[str, list[tuple[int | str, Tweet]]] = {}
        for number, name in enumerate(NAMES):
            own = [tweet for tweet, source in zip(tweets, chosen, strict=True) if source == number]
            first = self._sent_by.get(name, 0) + 1
            ids = [tweet.tweet_id if not name else first + place for place, tweet in enumerate(own)]
            self._sent_by[name] = first + len(own) - 1
            for tweet_id, tweet in zip(known_ids(name, ids), own, strict=True):
                self.labels[tweet_id] = tweet.label
                if (who := tweet.user.decode()) in LEAVERS:
                    self.leavers[tweet_id] = who
                self.by_day.setdefault(number_of(day_of(tweet.posted)), []).append(tweet_id)
            found[name] = list(zip(ids, own, strict=True))
        return found

    def _tweets_of(self, day: int) -> list[Tweet]:
        """The tweets of a day, with all changes that have come so far; those of days before the year have numbers below 1."""
        rng, when = self.rng, START + timedelta(days=day - 1)
        size = {change.day: change.size for change in CHANGES if change.day <= day}
        usual = USUAL_TWEETS * (WEEKEND if when.weekday() >= 5 else 1.0) * size.get(45, 1.0)
        count = int(usual * np.exp(rng.normal(0, NOISE)))
        pool = self._take_pool(when)
        count_neutral = int(rng.binomial(count, 1 / NEUTRAL_ONE_IN))
        count_positive = int(rng.binomial(count - count_neutral, 0.5 - size.get(125, 0.0)))
        of_label = {label: [tweet for tweet in pool if tweet.label == label] for label in ("negative", "positive")}
        wanted = {"positive": count_positive, "negative": count - count_neutral - count_positive}
        tweets = [
            of_label[label][place]
            for label, number in wanted.items()
            for place in rng.permutation(len(of_label[label]))[:number]
        ]
        taken = {tweet.tweet_id for tweet in tweets}
        spare = [tweet for tweet in pool if tweet.tweet_id not in taken]
        # Neutral ones have a text of their own, and the time and user of a tweet that is not sent.
        tweets += [
            spare[place]._replace(text=self._neutral[rng.integers(len(self._neutral))], label="neutral")
            for place in rng.permutation(len(spare))[:count_neutral]
        ]
        tweets.sort(key=lambda tweet: tweet.tweet_id)
        return [self._changed(tweet, tweets, size) for tweet in tweets]

    def _changed(self, tweet: Tweet, others: list[Tweet], sizes: dict[int, float]) -> Tweet:
        rng, text = self.rng, tweet.text
        if rng.random() < sizes.get(85, 0.0) and tweet.label != "neutral":
            text = self._like(tweet, self._autumn).text
        if rng.random() < sizes.get(165, 0.0):
            text = text + b" " + self._like(tweet, others).text
        if rng.random() < sizes.get(205, 0.0):
            text = b"at the eclipse: " + text
        if rng.random() < sizes.get(245, 0.0):
            text = re.sub(rb"(?<=[a-zA-Z])[aeiou]", b"", text)
        leaver = int(rng.integers(400))
        user = LEAVERS[leaver].encode() if leaver < len(LEAVERS) else tweet.user
        return tweet._replace(text=text, user=user)

    def _like(self, tweet: Tweet, others: list[Tweet]) -> Tweet:
        """Another tweet with the same label."""
        while (other := others[self.rng.integers(len(others))]).label != tweet.label:
            pass
        return other

    def _take_pool(self, when: date) -> list[Tweet]:
        if when not in self._pool:
            self._pool = read_pool(when, POOL_DAYS, POOL_A_DAY, 1)
        if not self._autumn:
            self._autumn = next(iter(read_pool(date(2009, 10, 1), 1, 20_000, 2).values()))
            self._neutral = neutral_texts()
        return self._pool.pop(when)


def _by_leaver(lines: list[Line]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in lines:
        if (who := line.tweet.user.decode()) in LEAVERS:
            found[who] = found.get(who, 0) + 1
    return found


def number_of(day: date) -> int:
    """The number of a day, 1 the first of the year."""
    return (day - START).days + 1


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


def neutral_texts() -> list[bytes]:
    """Generated texts that show no mood."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "neutral.csv"
        write_gold_sample(path, NEUTRAL_TEXTS, seed=3)
        return [tweet.text for tweet in read_lines(path) if tweet.label == "neutral"]


def read_lines(path: Path) -> Iterator[Tweet]:
    """The tweets of a generated file, with their days in UTC."""
    meaning = {b'"0': "negative", b'"2': "neutral", b'"4': "positive"}
    with path.open("rb") as file:
        for line in file:
            target, tweet_id, posted, _, user, text = line.rstrip(b"\n").split(b'","', 5)
            yield Tweet(
                int(tweet_id), posted.replace(b" PDT ", b" UTC "), user, text.removesuffix(b'"'), meaning[target]
            )


def day_of(posted: bytes) -> date:
    """The day of a time such as `Sat Jan 01 12:00:00 UTC 2011`."""
    _, month, day, _, _, year = posted.decode().split()
    return date(int(year), MONTHS[month], int(day))
