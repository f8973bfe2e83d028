"""Is a day unlike the days before it? Pure statistics: counts and values in, a value with its threshold out.

Every measure is judged against a reference of earlier days, each of which is one draw of what a day usually looks like. So
thresholds are calibrated on how far those days lie from each other, not taken from a table: noisy data have wide ones.

- A distribution (lengths, words, scores) is measured by its Jensen-Shannon distance, base 2, to the pooled reference
  (Lin 1991; 0 the same, 1 nothing in common). What sampling alone would show at the day's number of tweets is found by
  drawing from the reference; what the reference's days show beyond that, each against all others, is how much days differ.
- A level (number of tweets, mean confidence) is measured by itself.

The threshold is the prediction limit of a new day (Student's t) at `ALPHA`, never closer than a difference worth a look.
A day beyond it is no alarm yet: two in a row are (`monitoring`). One day in 100 is beyond by chance. Two in a row are
rarer, though not by its square, since both are judged by nearly the same reference: for independent normal days once in
4,700, so that six measures raise a false alarm about every other year. `simulations/monitor.py` measures the result on tweets.
One judgement takes 10 ms at 1,000 words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.01
FEWEST_REFERENCE_DAYS = 14
LEAST_DISTANCE = 0.03
_DRAWS = 200

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Judgement:
    """A day's value, the threshold on the side on which it lies, and whether it is beyond."""

    value: float
    threshold: float | None
    is_beyond: bool


def judge_distribution(day: Counts, reference: Counts) -> Judgement:
    """Judge the Jensen-Shannon distance of a day to the days of its reference.

    Args:
        day: shape (cells,), counts.
        reference: shape (days, cells), counts in the same cells, none of the days empty.

    Returns:
        no threshold with fewer than 14 days of reference.
    """
    pool = reference.sum(axis=0)
    value = float(_distances(day[None, :], pool)[0])
    if len(reference) < FEWEST_REFERENCE_DAYS:
        return Judgement(value, None, False)
    counts = reference.sum(axis=1)
    usual = int(np.median(counts))
    draws = np.random.default_rng(0).multinomial(usual, pool / pool.sum(), _DRAWS)
    by_sampling = _distances(draws, pool)
    # The distance that sampling alone makes falls with the root of the number of tweets.
    scales = np.sqrt(usual / counts)
    apart = np.array([_distances(row[None, :], pool - row)[0] for row in reference]) - by_sampling.mean() * scales
    scale = math.sqrt(usual / max(1, int(day.sum())))
    spread = max(float(apart.std(ddof=1)), float(by_sampling.std(ddof=1)) * scale)
    expected = float(by_sampling.mean()) * scale + max(0.0, float(apart.mean()))
    threshold = max(expected + _reach(len(reference), ALPHA) * spread, LEAST_DISTANCE)
    return Judgement(value, threshold, value > threshold)


def judge_level(value: float, reference: Sequence[float], *, least: float, only_below: bool = False) -> Judgement:
    """Judge a value against those of the days of its reference.

    Args:
        least: a smaller difference from their mean is not worth a look.
        only_below: a high value is never one to look at.
    """
    if len(reference) < FEWEST_REFERENCE_DAYS:
        return Judgement(value, None, False)
    mean, spread = float(np.mean(reference)), float(np.std(reference, ddof=1))
    alpha = ALPHA if only_below else ALPHA / 2
    reach = max(_reach(len(reference), alpha) * spread, least)
    threshold = mean - reach if only_below or value < mean else mean + reach
    is_beyond = value < threshold if threshold < mean else value > threshold
    return Judgement(value, threshold, is_beyond)


def _distances(counts: Counts, pool: Counts) -> NDArray[np.float64]:
    """Jensen-Shannon distance of each row to the pool, 0 to 1; of an empty row, 1."""
    from scipy.spatial.distance import jensenshannon

    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    with np.errstate(invalid="ignore"):  # Of an empty row.
        found: Any = jensenshannon(shares, np.broadcast_to(pool / pool.sum(), shares.shape), base=2, axis=1)
    return np.where(totals[:, 0] == 0, 1.0, np.nan_to_num(found))


def _reach(count_days: int, alpha: float) -> float:
    """How many standard deviations from the mean of so many days the next one stays, but for a share `alpha`."""
    from scipy.special import stdtrit

    return float(stdtrit(count_days - 1, 1 - alpha)) * math.sqrt(1 + 1 / count_days)
