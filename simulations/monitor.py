"""How often the monitor raises a false alarm, and how soon it notices a change: `python -m simulations.monitor`. Takes five minutes.

Tweets of days without drift are drawn from one pool, with weekends and noise in their number; any alarm
is a false one. Then changes of stated sizes are planted, each in many short histories, and the days until the
alarm are counted, the day of the change being the first. The library's own `monitoring.judge_day` decides;
only reading the tables is left out. With `--real FILE` (Sentiment140's training file) the same is measured on real tweets,
spread over days at random, and on its real days in shuffled order, which differ as real days do.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from sentiment.ingest.plan import read_chunks
from sentiment.monitoring.daily import MOST_WORDS, Profiles, Table, is_alarm, judge_day
from sentiment.sample import Span, write_sample

YEARS = 10
HISTORIES = 40
POOL_ROWS = 60_000
USUAL_TWEETS = 2_000
WARM_UP = 36
MOST_FALSE_ALARMS = 2.0
LONGEST_DELAY = 3
START = date(2011, 1, 3)
STILL = date(2010, 5, 1)  # The sample's topics do not change from 6 April 2010 on.


@dataclass(frozen=True)
class Pool:
    """Tweets as the monitor sees them: words as a matrix (rows, words), cells of length and score, confidence, label."""

    words: Any
    length: NDArray[np.int64]
    score: NDArray[np.int64]
    confidence: NDArray[np.float64]
    probability: NDArray[np.float64]
    is_positive: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.length)


class Reader:
    """Words and scores by one vocabulary and one model, made from labelled tweets."""

    def __init__(self, texts: Sequence[str], is_positive: NDArray[np.bool_]) -> None:
        self.vectorizer = CountVectorizer(token_pattern=r"[^\W_']+(?:'\w+)*", max_features=MOST_WORDS, binary=True)
        self.model = LogisticRegression(max_iter=300).fit(self.vectorizer.fit_transform(texts), is_positive)

    def __call__(self, texts: Sequence[str], is_positive: NDArray[np.bool_]) -> Pool:
        words = self.vectorizer.transform(texts)
        probability = self.model.predict_proba(words)[:, 1]
        others = (
            np.array([len(set(re.findall(r"[^\W_']+(?:'\w+)*", text.lower()))) for text in texts]) - words.sum(1).A1
        )
        return Pool(
            csr_matrix(np.hstack([words.toarray(), np.maximum(others, 0)[:, None]]).astype(np.int32)),
            np.minimum(np.array([len(text) for text in texts]) // 10, 20),
            np.minimum((probability * 20).astype(np.int64), 19),
            np.maximum(probability, 1 - probability),
            probability,
            is_positive,
        )


@dataclass
class Days:
    """Days in the making: `Profiles` once they are all there."""

    volumes: dict[date, int]
    tables: dict[str, list[NDArray[np.int64]]]
    scores: dict[date, tuple[float, float, int]]

    @classmethod
    def none(cls) -> Days:
        return cls({}, {"text_length": [], "vocabulary": [], "score_distribution": []}, {})

    def add(self, pool: Pool, rows: NDArray[np.int64]) -> None:
        day = START + timedelta(days=len(self.volumes))
        self.volumes[day] = len(rows)
        self.tables["text_length"].append(np.bincount(pool.length[rows], minlength=21))
        self.tables["score_distribution"].append(np.bincount(pool.score[rows], minlength=20))
        self.tables["vocabulary"].append(np.asarray(pool.words[rows].sum(axis=0)).ravel())
        self.scores[day] = (float(pool.confidence[rows].mean()), float(pool.probability[rows].mean()), len(rows))

    def profiles(self) -> Profiles:
        rows = {day: number for number, day in enumerate(self.volumes)}
        tables = {
            name: Table(rows, [str(cell) for cell in range(len(found[0]))], np.array(found, dtype=np.int64))
            for name, found in self.tables.items()
        }
        return Profiles(self.volumes, tables, self.scores, least_tweets=100)


def alarms(profiles: Profiles, first: int) -> dict[str, list[int]]:
    """Days, counted from `first`, on which a measure became an alarm; as the monitor does, day by day."""
    found: dict[str, list[int]] = {}
    before: dict[str, Any] = {}
    standing: set[str] = set()
    for number, day in enumerate(list(profiles.volumes)):
        if number < first - 1:
            continue
        judged = judge_day(profiles, day)
        now = {measure for measure in judged if is_alarm(measure, judged, before)}
        for measure in now - standing:
            found.setdefault(measure, []).append(number - first + 1)
        before, standing = judged, now
    return found


def tweets_of_day(rng: np.random.Generator, number: int) -> int:
    """How many tweets a usual day has: fewer on weekends, and noise."""
    usual = USUAL_TWEETS * (0.85 if number % 7 >= 5 else 1.0)
    return int(usual * np.exp(rng.normal(0, 0.08)))


def false_alarms(rng: np.random.Generator, day: Callable[[Days, int], None], years: int) -> dict[str, float]:
    """False alarms a year, by measure and in all."""
    days = Days.none()
    for number in range(WARM_UP + 365 * years):
        day(days, number)
    found = Counter({measure: len(when) for measure, when in alarms(days.profiles(), WARM_UP).items()})
    return {
        measure: found[measure] / years
        for measure in (*days.tables, "volume", "estimated_accuracy", "mean_probability")
    } | {"all": found.total() / years}


def days_to_alarm(
    rng: np.random.Generator, pool: Pool, plant: Callable[[Days, int], None], histories: int
) -> dict[str, Any]:
    """In how many histories a change is flagged within three days, and by what."""
    delays, by = [], Counter[str]()
    for _ in range(histories):
        days = Days.none()
        for number in range(WARM_UP):
            days.add(pool, rng.integers(len(pool), size=tweets_of_day(rng, number)))
        for number in range(LONGEST_DELAY):
            plant(days, WARM_UP + number)
        found = alarms(days.profiles(), WARM_UP)
        delays.append(min((when[0] for when in found.values()), default=None))
        by.update(found.keys())
    seen = [delay for delay in delays if delay is not None]
    return {
        "flagged": len(seen) / histories,
        "days": float(np.mean(seen)) if seen else None,
        "by": {name: count / histories for name, count in by.most_common()},
    }


def planted(rng: np.random.Generator, pool: Pool, other: Pool, longer: Pool) -> dict[str, Callable[[Days, int], None]]:
    """The changes, each with its size in its name."""

    def draw(number: int, factor: float = 1.0) -> NDArray[np.int64]:
        return rng.integers(len(pool), size=int(factor * tweets_of_day(rng, number)))

    def mixed(share: float, second: Pool) -> Callable[[Days, int], None]:
        both = Pool(
            vstack([pool.words, second.words]).tocsr(),
            *(
                np.concatenate([getattr(pool, name), getattr(second, name)])
                for name in ("length", "score", "confidence", "probability", "is_positive")
            ),
        )

        def plant(days: Days, number: int) -> None:
            rows = draw(number)
            is_other = rng.random(len(rows)) < share
            rows[is_other] = len(pool) + rng.integers(len(second), size=int(is_other.sum()))
            days.add(both, rows)

        return plant

    positive, negative = np.flatnonzero(pool.is_positive), np.flatnonzero(~pool.is_positive)

    def turned(points: float) -> Callable[[Days, int], None]:
        share = float(pool.is_positive.mean()) - points / 100

        def plant(days: Days, number: int) -> None:
            count = tweets_of_day(rng, number)
            count_positive = rng.binomial(count, share)
            rows = (rng.choice(positive, count_positive), rng.choice(negative, count - count_positive))
            days.add(pool, np.concatenate(rows))

        return plant

    return {
        "20 % of tweets from half a year earlier": mixed(0.2, other),
        "40 % of tweets from half a year earlier": mixed(0.4, other),
        "positive share falls by 10 points": turned(10),
        "positive share falls by 20 points": turned(20),
        "15 % of tweets twice as long": mixed(0.15, longer),
        "half of the tweets": lambda days, number: days.add(pool, draw(number, 0.5)),
        "twice the tweets": lambda days, number: days.add(pool, draw(number, 2.0)),
    }


def sample(folder: Path, name: str, start: date) -> tuple[list[str], NDArray[np.bool_]]:
    """Generated tweets and their labels."""
    path = folder / f"{name}.csv"
    write_sample(path, POOL_ROWS, span=Span(start=start, days=28), dirty=False)
    return labelled(path)


def labelled(path: Path) -> tuple[list[str], NDArray[np.bool_]]:
    """Texts and labels of a file."""
    frame = pl.concat([chunk.records for chunk in read_chunks(path)])
    return frame["text"].to_list(), (frame["label"] == "positive").to_numpy()


def measure_generated(rng: np.random.Generator, years: int, histories: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        texts, is_positive = sample(Path(name), "still", STILL)
        older, older_positive = sample(Path(name), "older", date(2009, 10, 1))
    reader = Reader(texts[::3], is_positive[::3])
    pool, other = reader(texts, is_positive), reader(older, older_positive)
    longer = reader([f"{text} {text}" for text in texts[:10_000]], is_positive[:10_000])

    def usual(days: Days, number: int) -> None:
        days.add(pool, rng.integers(len(pool), size=tweets_of_day(rng, number)))

    return {
        "false_alarms_a_year": false_alarms(rng, usual, years),
        "planted": {
            name: days_to_alarm(rng, pool, plant, histories)
            for name, plant in planted(rng, pool, other, longer).items()
        },
    }


def measure_real(rng: np.random.Generator, path: Path, years: int) -> dict[str, Any]:
    frame = pl.concat([chunk.records for chunk in read_chunks(path)]).filter(
        pl.col("posted_at") < pl.datetime(2009, 6, 16, time_zone="UTC")
    )
    frame = frame.with_columns(day=pl.col("posted_at").dt.date())
    frame = frame.filter(pl.len().over("day") > 5_000).sample(300_000, seed=0, shuffle=True)
    texts, is_positive = frame["text"].to_list(), (frame["label"] == "positive").to_numpy()
    reader = Reader(texts[:30_000], is_positive[:30_000])
    pool = reader(texts, is_positive)
    groups = [rows.to_numpy() for rows in frame.with_row_index().group_by("day").agg("index")["index"]]

    def at_random(days: Days, number: int) -> None:
        days.add(pool, rng.integers(len(pool), size=tweets_of_day(rng, number)))

    def real_day(days: Days, number: int) -> None:
        days.add(pool, rng.choice(groups[rng.integers(len(groups))], size=tweets_of_day(rng, number)).astype(np.int64))

    return {
        "count_days": len(groups),
        "false_alarms_a_year_at_random": false_alarms(rng, at_random, years),
        "false_alarms_a_year_shuffled_days": false_alarms(rng, real_day, years),
    }


def main() -> None:
    """Measure, write the figures down, and fail if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=YEARS, help="Years without drift.")
    parser.add_argument("--histories", type=int, default=HISTORIES, help="Histories with each planted change.")
    parser.add_argument("--real", type=Path, help="Sentiment140's training file.")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    found = {"generated": measure_generated(rng, given.years, given.histories)}
    if given.real:
        found["real"] = measure_real(rng, given.real, given.years)
    target = Path(__file__).parent / "results" / "monitor.json"
    target.write_text(json.dumps(found, indent=2) + "\n")
    print(target.read_text())
    if found["generated"]["false_alarms_a_year"]["all"] > MOST_FALSE_ALARMS:
        sys.exit(f"More than {MOST_FALSE_ALARMS:.0f} false alarms a year.")


if __name__ == "__main__":
    main()
