"""Looks at the tweets of each day: how many, how they read, how the champion scores them, and what people corrected.

It reads the published snapshot and holds no lock while it counts. A day is judged against the four weeks that ended a week
before it, by `drift`; an alarm is a measure that is beyond its threshold on two days running, so that a day of news is none
and a change that stays is one on its second day. All scores are those of the published version, also in the reference, so
a promotion is no drift, and of tweets alone that it cannot have learnt from, of which a model is surer than of others. Days
that were measured are measured again only when more of their tweets have arrived.

    volume                  tweets of the day
    text_length             Jensen-Shannon distance of the lengths of texts to the reference
    vocabulary              the same of the 1,000 commonest words, one a tweet
    score_distribution      the same of the probabilities
    mean_probability        mean of the probabilities: how positive the day is
    estimated_accuracy      mean of max(p, 1 - p), with a Wilson interval: what calibrated probabilities promise (CBPE)
    accuracy_on_corrections what came true of them on tweets corrected in the last four weeks; people correct mistakes
                            first, so it says which way things go and never sets off an alarm
    delay_days              days since the newest one with tweets; none of a home whose newest tweet is a month old

A day of 2,000 tweets takes 0.3 s, and its five weeks of reference 3 s once a run; words are counted in at most 20,000
tweets a day.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from sentiment import clock
from sentiment.monitoring.drift import Counts, Judgement, judge_distribution, judge_level
from sentiment.settings import Home
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.session import Warehouse

REFERENCE_DAYS, GAP_DAYS = 28, 7
MOST_DAYS_AT_ONCE = 31
# Tweets older than that are an archive, such as Sentiment140 itself: nobody waits for its next day.
MOST_DAYS_OF_DELAY = 31
MOST_WORDS, MOST_TWEETS = 1_000, 20_000
LEAST_SCORES = 20
LEAST_VOLUME_CHANGE = math.log(1.25)
LEAST_ACCURACY_LOSS = 0.01
LEAST_PROBABILITY_CHANGE = 0.03
SHOWN_DAYS = 120

DRIFT_MEASURES = ("text_length", "vocabulary", "score_distribution", "mean_probability", "estimated_accuracy")
ROWS_SCHEMA = pl.Schema(
    {
        "day": pl.Date(),
        "measure": pl.String(),
        "value": pl.Float64(),
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "threshold": pl.Float64(),
        "is_alarm": pl.Boolean(),
    }
)


@dataclass(frozen=True)
class Alarm:
    """A measure that became an alarm: it was none on the day before."""

    day: date
    measure: str
    value: float
    threshold: float

    @property
    def is_drift(self) -> bool:
        """Whether it says that tweets have changed, and not merely their number."""
        return self.measure in DRIFT_MEASURES


@dataclass(frozen=True)
class MonitorReport:
    """What a run measured, and what it means.

    `rows` are those written by this run, `shown` those of the last four months, `words` the words that moved most.
    """

    days: list[date]
    model_version: int | None
    rows: pl.DataFrame
    shown: pl.DataFrame
    alarms: list[Alarm]
    words: list[str]


class Table(NamedTuple):
    """How the tweets of some days are spread over cells: row numbers by day, names of cells, counts (days, cells)."""

    rows: dict[date, int]
    cells: list[str]
    counts: Counts


@dataclass(frozen=True)
class Profiles:
    """What a range of days looks like.

    `volumes` has the tweets of every day there is; `tables` one table a distribution; `scores` the mean of max(p, 1 - p),
    the mean of p and the number of scored tweets, by day; of days with enough of them.
    """

    volumes: dict[date, int]
    tables: dict[str, Table]
    scores: dict[date, tuple[float, float, int]]
    least_tweets: int

    def reference_of(self, day: date) -> list[date]:
        """The days with enough tweets of the four weeks that ended a week before."""
        last = day - timedelta(days=GAP_DAYS + 1)
        days = [last - timedelta(days=number) for number in range(REFERENCE_DAYS)]
        return [day for day in reversed(days) if self.volumes.get(day, 0) >= self.least_tweets]

    def day_before(self, day: date) -> date | None:
        """The last day before it with tweets enough to be judged, within a week."""
        days = (day - timedelta(days=number) for number in range(1, GAP_DAYS + 1))
        return next((day for day in days if self.volumes.get(day, 0) >= self.least_tweets), None)


def monitor(
    home: Home,
    *,
    days: int = 7,
    late_after_days: int = 1,
    least_tweets: int = 100,
) -> MonitorReport:
    """Measure the days that are new, or of which more tweets arrived, and write them to `monitoring`.

    Args:
        days: how many days back more tweets are looked for; also how many days a first run measures.
        late_after_days: days without tweets that are usual.
        least_tweets: with fewer a day is counted and not judged.

    Raises:
        HomeError: nothing has been published yet.
    """
    today = clock.now().date()
    with reader(home) as snapshot:
        volumes = dict(snapshot.run("steps/monitoring/select_days", until=_midnight(today)).fetchall())
        model_version = snapshot.value("steps/warehouse/select_published_version")
        newest = max(volumes, default=today)
        former = snapshot.frame("steps/monitoring/select_monitored", first=newest - timedelta(days=SHOWN_DAYS))
        chosen = _days_to_measure(volumes, former, days, model_version is not None)
        profiles = _read_profiles(snapshot, volumes, chosen, least_tweets) if chosen else None
        corrections = snapshot.run(
            "steps/monitoring/select_corrected_accuracy", since=clock.now() - timedelta(days=REFERENCE_DAYS)
        ).fetchone()
    measured = [row for day in chosen for row in _measure_day(profiles, day)] if profiles else []
    measured += _measure_corrections(corrections or (0, 0), today - timedelta(days=1))
    measured += _measure_delay(volumes, today, late_after_days)
    rows = pl.DataFrame(measured, schema=ROWS_SCHEMA, orient="row").sort("day", "measure")
    with writer(home) as warehouse, warehouse.transaction():
        warehouse.load("steps/monitoring/replace_monitoring", rows)
    shown = pl.concat([former.join(rows, on=["day", "measure"], how="anti"), rows]).sort("day", "measure")
    words = _words_that_moved(profiles, chosen[-1]) if profiles else []
    return MonitorReport(chosen, model_version, rows, shown, _new_alarms(rows, former, shown), words)


def _days_to_measure(volumes: dict[date, int], former: pl.DataFrame, days: int, has_scores: bool) -> list[date]:
    """New days, and recent ones of which more tweets or first scores arrived; a gap between days counts as days."""
    if not volumes:
        return []
    first, last = min(volumes), max(volumes)
    stored = {(day, measure): value for day, measure, value in former.select("day", "measure", "value").iter_rows()}
    judged = [day for day, measure in stored if measure == "volume"]
    start = min(last - timedelta(days=days - 1), max(judged) + timedelta(days=1)) if judged else last
    start = max(first, min(start, last - timedelta(days=days - 1)), last - timedelta(days=MOST_DAYS_AT_ONCE - 1))

    def is_measured(day: date) -> bool:
        is_scored = (day, "estimated_accuracy") in stored or not has_scores or day not in volumes
        return stored.get((day, "volume")) == volumes.get(day, 0) and is_scored

    every = [start + timedelta(days=number) for number in range((last - start).days + 1)]
    return [day for day in every if not is_measured(day)]


def _read_profiles(snapshot: Warehouse, volumes: dict[date, int], chosen: list[date], least_tweets: int) -> Profiles:
    reach = GAP_DAYS + 1 + REFERENCE_DAYS + GAP_DAYS
    span = {"first": _midnight(chosen[0] - timedelta(days=reach)), "until": _midnight(chosen[-1] + timedelta(days=1))}
    scores = snapshot.frame("steps/monitoring/select_score_profile", **span)
    frames = {
        "text_length": snapshot.frame("steps/monitoring/select_length_profile", **span),
        "vocabulary": snapshot.frame(
            "steps/monitoring/select_word_profile", **span, most_words=MOST_WORDS, most_tweets=MOST_TWEETS
        ),
        "score_distribution": scores,
    }
    sums = scores.group_by("day").agg(pl.col("sum_confidence", "sum_probability", "count").sum())
    means = {
        day: (sure / count, positive / count, count)
        for day, sure, positive, count in sums.iter_rows()
        if count >= LEAST_SCORES
    }
    return Profiles(volumes, {name: _table(frame) for name, frame in frames.items()}, means, least_tweets)


def _table(frame: pl.DataFrame) -> Table:
    days, cells = sorted(frame["day"].unique()), sorted(frame["cell"].unique())
    counts = np.zeros((len(days), len(cells)), dtype=np.int64)
    rows = {day: row for row, day in enumerate(days)}
    columns = {cell: column for column, cell in enumerate(cells)}
    for day, cell, count in frame.select("day", "cell", "count").iter_rows():
        counts[rows[day], columns[cell]] = count
    return Table(rows, cells, counts)


def judge_day(profiles: Profiles, day: date) -> dict[str, Judgement]:
    """Judge every measure of a day that can be taken."""
    reference = profiles.reference_of(day)
    level = judge_level(
        math.log(max(profiles.volumes.get(day, 0), 0.5)),
        [math.log(profiles.volumes[other]) for other in reference],
        least=LEAST_VOLUME_CHANGE,
    )
    threshold = None if level.threshold is None else math.exp(level.threshold)
    found = {"volume": Judgement(profiles.volumes.get(day, 0), threshold, level.is_beyond)}
    if profiles.volumes.get(day, 0) < profiles.least_tweets:
        return found
    for measure, table in profiles.tables.items():
        places = [table.rows[other] for other in reference if other in table.rows]
        if day in table.rows and places:
            found[measure] = judge_distribution(table.counts[table.rows[day]], table.counts[places])
    if day in profiles.scores:
        others = [profiles.scores[other] for other in reference if other in profiles.scores]
        confidence, probability, _ = profiles.scores[day]
        found["estimated_accuracy"] = judge_level(
            confidence, [mean for mean, _, _ in others], least=LEAST_ACCURACY_LOSS, only_below=True
        )
        found["mean_probability"] = judge_level(
            probability, [mean for _, mean, _ in others], least=LEAST_PROBABILITY_CHANGE
        )
    return found


def is_alarm(measure: str, today: dict[str, Judgement], before: dict[str, Judgement]) -> bool:
    """A measure that is beyond its threshold on two days running is an alarm."""
    return today[measure].is_beyond and measure in before and before[measure].is_beyond


def _measure_day(profiles: Profiles, day: date) -> Iterator[tuple[object, ...]]:
    before = profiles.day_before(day)
    earlier = judge_day(profiles, before) if before is not None else {}
    today = judge_day(profiles, day)
    for measure, judged in today.items():
        lower = upper = None
        if measure == "estimated_accuracy":
            confidence, _, count = profiles.scores[day]
            lower, upper = _wilson(confidence, count)
        yield day, measure, judged.value, lower, upper, judged.threshold, is_alarm(measure, today, earlier)


def _measure_corrections(corrections: tuple[int, int], day: date) -> Iterator[tuple[object, ...]]:
    count, right = corrections
    if count:
        yield day, "accuracy_on_corrections", right / count, *_wilson(right / count, count), None, False


def _measure_delay(volumes: dict[date, int], today: date, late_after_days: int) -> Iterator[tuple[object, ...]]:
    yesterday = today - timedelta(days=1)
    if volumes and (delay := (yesterday - max(volumes)).days) <= MOST_DAYS_OF_DELAY:
        yield yesterday, "delay_days", float(delay), None, None, float(late_after_days), delay > late_after_days


def _new_alarms(rows: pl.DataFrame, former: pl.DataFrame, shown: pl.DataFrame) -> list[Alarm]:
    """Alarms that are none on the last day before that has the measure, nor were when their own day was measured before."""
    alarms = []
    known = former.filter("is_alarm")
    for row in rows.filter("is_alarm").join(known, on=["day", "measure"], how="anti").iter_rows(named=True):
        before = shown.filter((pl.col("measure") == row["measure"]) & (pl.col("day") < row["day"]))
        if before.is_empty() or not before["is_alarm"][-1]:
            alarms.append(Alarm(row["day"], row["measure"], row["value"], row["threshold"]))
    return alarms


def _words_that_moved(profiles: Profiles, day: date, most: int = 6) -> list[str]:
    """The words whose share changed most against the reference, by their part of the distance."""
    table = profiles.tables["vocabulary"]
    others = [table.rows[other] for other in profiles.reference_of(day) if other in table.rows]
    if day not in table.rows or not others:
        return []
    now, before = table.counts[table.rows[day]], table.counts[others].sum(axis=0)
    shares, shares_before = now / now.sum(), before / max(1, before.sum())
    change = (shares - shares_before) ** 2 / np.maximum(shares + shares_before, 1e-12)
    named = [place for place in np.argsort(-change) if table.cells[place]]
    return [f"{table.cells[place]} {'+' if shares[place] > shares_before[place] else '−'}" for place in named[:most]]


def _wilson(share: float, count: int) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint

    lower, upper = proportion_confint(share * count, count, method="wilson")
    return float(lower), float(upper)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
