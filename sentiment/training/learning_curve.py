"""What more data would bring: a power law through the rungs trained so far, with its uncertainty. Pure functions of values.

Accuracy grows with rows as a - b × rows^-c (Figueroa et al. 2012, Hestness et al. 2017). Three unknowns and a handful of
noisy rungs: a least-squares fit swings wildly, and its delta-method interval with it. For a given exponent c the law is
linear, so all exponents between 0.05 and 1 are taken, each weighted by how well it fits, and for each the exact normal
posterior of the other two unknowns. They are written as the accuracy at the largest rung and the gain of its next doubling,
never negative and held to a few points by a weak prior, so that even one rung gives an honest, wide answer.

The noise that counts. All rungs are evaluated on one hold-out, so its luck moves the whole curve up or down together: that
goes into a, and neither bends the curve nor touches a gain. What differs from rung to rung is which rows of it a training
gets right by chance, and the seed: `noise_of_rung`. A binomial standard error would be nearly twice as large.
Forecasts are of what the same hold-out will show, noise of that rung included. Where rungs lie off the curve by more than
their noise, or fall, the noise is taken to be as large as they show (Birge 1932).

A fit costs some milliseconds and, by fixed draws, is the same every time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentiment.errors import TrainingError
from sentiment.markdown import percent

COVERAGE = 0.9
EXPONENTS = np.linspace(0.05, 1.0, 39)
LARGEST_USUAL_GAIN = 0.05
"""Of a doubling: the standard deviation of its prior. Rungs of real tweets gain one to two points."""
FEWEST_RUNGS = 3
USUAL_DISCORDANCE = 0.1
"""Share of hold-out rows that just one of two trainings on different subsets has right."""
_DRAWS = 300

Draws = NDArray[np.float64]


@dataclass(frozen=True)
class CurvePoint:
    """One training: rows, accuracy on the hold-out (0 to 1), its noise compared with other rungs, and what it took.

    Of several seeds, hand in the mean as one point and keep `noise_of_rung`: seeds share the subset and its luck, so their
    mean is hardly less noisy than one of them.

    Attributes:
        standard_error: above zero; see `noise_of_rung`.
        seconds: of training.
    """

    rows: int
    accuracy: float
    standard_error: float
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """What training on so many rows should show on the same hold-out, with a 90 % interval; seconds it should take."""

    rows: int
    expected: float
    lower: float
    upper: float
    seconds: float
    missing: str

    @property
    def sentence(self) -> str:
        """The forecast in words."""
        return (
            f"{self.rows:,} rows should reach {percent(self.expected)} ({percent(self.lower)} to {percent(self.upper)}) in "
            f"{_duration(self.seconds)}.{self.missing}"
        )


@dataclass(frozen=True)
class Gain:
    """What going from the largest rung to more rows should bring, without the noise of a single training."""

    from_rows: int
    rows: int
    expected: float
    lower: float
    upper: float
    seconds: float
    missing: str

    @property
    def sentence(self) -> str:
        """The gain in words."""
        ratio = self.rows / self.from_rows
        how_much = "Twice the data" if ratio == 2 else f"{ratio:.3g} times the data"
        return (
            f"{how_much} ({self.rows:,} rows) should bring {self.expected * 100:+.1f} points "
            f"({self.lower * 100:.1f} to {self.upper * 100:.1f}) for {_duration(self.seconds)}.{self.missing}"
        )


@dataclass(frozen=True)
class Outlook:
    """Whether climbing to the next rung is worth it, and why, in words."""

    is_flat: bool
    gain: Gain | None
    detectable: float
    reason: str


def noise_of_rung(count_holdout_rows: int, discordance: float = USUAL_DISCORDANCE) -> float:
    """Standard error of a rung's accuracy compared with other rungs on the same hold-out, as a share.

    Two trainings that differ on a share of the rows by chance differ in accuracy with variance discordance / rows, half of
    it from each. Measured over seeds it comes out the same, since a seed shuffles just these rows.
    """
    return math.sqrt(discordance / 2 / count_holdout_rows)


def forecast(points: Sequence[CurvePoint], rows: int) -> Forecast:
    """Forecast the accuracy and the seconds of training on `rows` rows.

    Raises:
        TrainingError: there is no point at all.
    """
    fitted = _fit(points)
    reached = fitted.accuracy(rows) + fitted.noise
    lower, expected, upper = (min(1.0, value) for value in fitted.quantiles(reached))
    return Forecast(rows, expected, lower, upper, _seconds(points, rows), _missing(points))


def gain(points: Sequence[CurvePoint], rows: int) -> Gain:
    """Forecast what `rows` rows should bring beyond the largest rung; 0 or more.

    Raises:
        TrainingError: there is no point at all.
    """
    fitted = _fit(points)
    lower, expected, upper = fitted.quantiles(fitted.accuracy(rows) - fitted.accuracy(fitted.largest))
    return Gain(fitted.largest, rows, expected, lower, upper, _seconds(points, rows), _missing(points))


def is_flat(points: Sequence[CurvePoint], rows: int, detectable: float) -> Outlook:
    """Whether to stop: the hold-out could not show what the next rung should bring. Below three rungs there is no forecast.

    Args:
        rows: of the next rung.
        detectable: the smallest gain that the hold-out shows, as `evaluation.detectable_difference` has it, as a share.

    Raises:
        TrainingError: there is no point at all.
    """
    if points and rows <= (largest := max(point.rows for point in points)):
        reason = f"There is nothing new to learn: all {rows:,} rows were trained on, up to {largest:,}."
        return Outlook(True, None, detectable, reason)
    if missing := _missing(points).strip():
        return Outlook(False, None, detectable, f"There is no forecast yet. {missing} It goes on.")
    found = gain(points, rows)
    shows = f"this hold-out shows gains from {detectable * 100:.2f} points on"
    if found.expected < detectable:
        return Outlook(True, found, detectable, f"{found.sentence} It stops here: {shows}, so it could not be seen.")
    return Outlook(False, found, detectable, f"{found.sentence} It goes on: {shows}.")


@dataclass(frozen=True)
class _Fitted:
    """Weighted draws from the posterior: accuracy at the largest rung, gain of the next doubling, exponent, noise."""

    largest: int
    level: Draws
    doubling: Draws
    exponent: Draws
    noise: Draws
    weights: Draws

    def accuracy(self, rows: float) -> Draws:
        return self.level + self.doubling * _doublings(rows / self.largest, self.exponent)

    def quantiles(self, values: Draws) -> tuple[float, float, float]:
        """Lower end, median and upper end."""
        order = np.argsort(values)
        reached = np.cumsum(self.weights[order])
        at = np.searchsorted(reached, np.array([(1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2]) * reached[-1])
        lower, middle, upper = values[order][at].tolist()
        return lower, middle, upper


def _doublings(ratio: float | Draws, exponent: float | Draws) -> Draws:
    """How many times the gain of the first doubling a power law has gained when rows have grown by `ratio`."""
    return np.asarray((1 - np.power(ratio, -exponent)) / (1 - np.power(2.0, -exponent)))


def _fit(points: Sequence[CurvePoint]) -> _Fitted:
    from scipy.special import log_ndtr, ndtr, ndtri

    if not points:
        raise TrainingError(
            "Found no point on the learning curve, expected at least one trained subset. Run `sentiment retrain` first."
        )
    rows = np.array([point.rows for point in points], dtype=np.float64)
    accuracy = np.array([point.accuracy for point in points])
    precision = np.array([point.standard_error for point in points]) ** -2.0
    largest = max(point.rows for point in points)

    # Normal equations of each exponent: unknowns are level and doubling, the prior a row of its own.
    growth = np.stack([_doublings(rows / largest, exponent) for exponent in EXPONENTS])
    sum_w, sum_g = precision.sum(), growth @ precision
    sum_gg, sum_gy = growth**2 @ precision + LARGEST_USUAL_GAIN**-2, growth @ (precision * accuracy)
    determinant = sum_w * sum_gg - sum_g**2
    doubling = (sum_w * sum_gy - sum_g * (precision @ accuracy)) / determinant

    # Chi-square of the best curve that does not fall.
    best = np.maximum(doubling, 0.0)
    level = (precision @ accuracy - best * sum_g) / sum_w
    residual = accuracy - level[:, None] - best[:, None] * growth
    misfit = residual**2 @ precision + (best / LARGEST_USUAL_GAIN) ** 2
    freedom = max(1, len(points) - FEWEST_RUNGS)
    inflation = max(1.0, float((residual**2 @ precision).min()) / freedom)

    # A doubling is normal with this spread, cut off below zero.
    spread = np.sqrt(inflation * sum_w / determinant)
    free_misfit = misfit - (best - doubling) ** 2 * determinant / sum_w
    log_weight = -free_misfit / 2 / inflation - np.log(determinant) / 2 + log_ndtr(doubling / spread)
    weights = np.exp(log_weight - log_weight.max())

    uniform, normal, noise = _standard_draws()
    drawn = doubling[:, None] - spread[:, None] * ndtri(uniform * ndtr(doubling / spread)[:, None])
    centre = (precision @ accuracy - drawn * sum_g[:, None]) / sum_w
    return _Fitted(
        largest=largest,
        level=(centre + normal * math.sqrt(inflation / sum_w)).ravel(),
        doubling=drawn.ravel(),
        exponent=np.repeat(EXPONENTS, _DRAWS),
        noise=(noise * math.sqrt(inflation * len(points) / sum_w)).ravel(),
        weights=np.repeat(weights, _DRAWS),
    )


def _standard_draws() -> tuple[Draws, Draws, Draws]:
    """Uniform, normal and normal draws, each of shape (exponents, draws); the same ones always."""
    generator = np.random.default_rng(0)
    shape = (len(EXPONENTS), _DRAWS)
    return generator.uniform(1e-9, 1, shape), generator.standard_normal(shape), generator.standard_normal(shape)


def _seconds(points: Sequence[CurvePoint], rows: int) -> float:
    """Training costs a fixed part and one that grows with rows; neither is negative. Short and long rungs count alike."""
    from scipy.optimize import nnls

    known = np.array([(point.rows, max(point.seconds, 1e-3)) for point in points])
    fixed, each = nnls(np.column_stack([1 / known[:, 1], known[:, 0] / known[:, 1]]), np.ones(len(known)))[0]
    return float(fixed + each * rows)


def _missing(points: Sequence[CurvePoint]) -> str:
    """What would have to be known for a better answer, as a sentence; empty when enough is."""
    found = len({point.rows for point in points})
    if found >= FEWEST_RUNGS:
        return ""
    what = "where the curve stands, not how it rises" if found == 1 else "how the curve rises, not how it bends"
    return f" {found} subset{'s say' if found > 1 else ' says'} {what}: train {FEWEST_RUNGS - found} more to know."


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
