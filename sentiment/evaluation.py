"""How good a model is, and whether one is better than another on the same rows. Pure functions of arrays.

scikit-learn, scipy and statsmodels do the arithmetic and are imported when called: they cost a second of start-up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_CALIBRATION_BINS = 15
CALIBRATION_BIN_ROWS = 250
POWER = 0.8


@dataclass(frozen=True)
class Evaluation:
    """What a model reaches on one evaluation set."""

    count_rows: int
    accuracy: float
    lower: float
    upper: float
    log_loss: float
    calibration_error: float
    majority_share: float


def evaluate(labels: NDArray[np.int8], probabilities: NDArray[np.float32]) -> Evaluation:
    """Accuracy with its 95 % Wilson interval, log loss and calibration error.

    Args:
        labels: shape (rows,), 1 for positive and 0 for negative.
        probabilities: shape (rows,), probability of positive.
    """
    from sklearn.metrics import log_loss
    from statsmodels.stats.proportion import proportion_confint

    count = len(labels)
    if count == 0:
        return Evaluation(0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
    right = int(((probabilities >= 0.5) == (labels == 1)).sum())
    lower, upper = proportion_confint(right, count, method="wilson")
    positive_share = float(labels.mean())
    return Evaluation(
        count_rows=count,
        accuracy=right / count,
        lower=float(lower),
        upper=float(upper),
        log_loss=float(log_loss(labels, probabilities.astype(np.float64), labels=[0, 1])),
        calibration_error=calibration_error(labels, probabilities),
        majority_share=max(positive_share, 1 - positive_share),
    )


def calibration_error(labels: NDArray[np.int8], probabilities: NDArray[np.float32]) -> float:
    """Expected calibration error over equally filled bins (Nguyen and O'Connor 2015): mean gap between stated
    probability and share of positives, 0 to 1.

    Even a perfectly calibrated model shows gaps, since labels fall by chance: 4 % with a thousand rows. What chance alone
    would show, the mean of a folded normal in each bin, is taken off; with 80,000 rows it is 0.4 %.
    """
    order = np.argsort(probabilities, kind="stable")
    bins = np.array_split(order, min(MOST_CALIBRATION_BINS, max(1, len(labels) // CALIBRATION_BIN_ROWS)))
    gaps = by_chance = 0.0
    for part in bins:
        stated = probabilities[part].astype(np.float64)
        gaps += abs(float(stated.mean()) - float(labels[part].mean())) * len(part)
        by_chance += math.sqrt(2 / math.pi * float((stated * (1 - stated)).sum()))
    return max(0.0, gaps - by_chance) / len(labels)


@dataclass(frozen=True)
class PairedDifference:
    """Challenger minus champion in accuracy, on the same rows."""

    count_rows: int
    count_gained: int
    count_lost: int
    difference: float
    lower: float
    upper: float
    p_value: float
    alpha: float
    detectable: float
    bootstrap_lower: float
    bootstrap_upper: float


def paired_difference(
    champion_right: NDArray[np.bool_], challenger_right: NDArray[np.bool_], alpha: float = 0.05
) -> PairedDifference:
    """Compare two models row by row.

    The interval is that of the mid-p McNemar test (Fagerland, Lydersen and Laake 2013): given the rows on which just one
    of the two is right, the challenger's share of them is binomial; its mid-p interval, scaled by the share of such rows,
    bounds the difference. It excludes zero exactly when the test rejects.

    Args:
        champion_right, challenger_right: shape (rows,), whether each is right.
        alpha: two-sided; the interval covers 1 - alpha.

    Returns:
        with `detectable`, the smallest true gain that this many rows show with 80 % power at this alpha and this share of
        discordant rows, and a paired bootstrap interval beside the other one.
    """
    count = len(champion_right)
    gained = int((challenger_right & ~champion_right).sum())
    lost = int((champion_right & ~challenger_right).sum())
    if count == 0:
        return PairedDifference(0, 0, 0, 0.0, -1.0, 1.0, 1.0, alpha, 1.0, -1.0, 1.0)
    share_lower, share_upper = _mid_p_interval(gained, gained + lost, alpha)
    scale = (gained + lost) / count
    bootstrap_lower, bootstrap_upper = _paired_bootstrap(count, gained, lost, alpha)
    return PairedDifference(
        count_rows=count,
        count_gained=gained,
        count_lost=lost,
        difference=(gained - lost) / count,
        lower=(2 * share_lower - 1) * scale,
        upper=(2 * share_upper - 1) * scale,
        p_value=_mid_p_value(gained, gained + lost),
        alpha=alpha,
        detectable=detectable_difference(count, scale, alpha),
        bootstrap_lower=bootstrap_lower,
        bootstrap_upper=bootstrap_upper,
    )


def detectable_difference(count_rows: int, discordance: float, alpha: float) -> float:
    """The smallest gain in accuracy that a two-sided McNemar test at `alpha` shows with 80 % power (Connor 1987).

    Args:
        discordance: share of rows on which just one of the two models is right.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if count_rows == 0:
        return 1.0
    discordance = max(discordance, 1 / count_rows)
    z_alpha, z_power = norm.isf(alpha / 2), norm.isf(1 - POWER)

    def shortfall(gain: float) -> float:
        spread = z_alpha * math.sqrt(discordance) + z_power * math.sqrt(max(discordance - gain**2, 0.0))
        return gain * math.sqrt(count_rows) - spread

    return float(brentq(shortfall, 0.0, discordance)) if shortfall(discordance) > 0 else discordance


def _mid_p_value(successes: int, trials: int) -> float:
    """Two-sided mid-p value of a fair coin."""
    from scipy.stats import binom

    tail = min(successes, trials - successes)
    return float(min(1.0, 2 * binom.cdf(tail, trials, 0.5) - binom.pmf(tail, trials, 0.5)))


def _mid_p_interval(successes: int, trials: int, alpha: float) -> tuple[float, float]:
    """Mid-p interval of a binomial share: where each tail, half of the point itself included, is alpha / 2."""
    from scipy.optimize import brentq
    from scipy.stats import binom

    if trials == 0:
        return 0.0, 1.0

    def upper_tail(share: float) -> float:
        return float(binom.sf(successes, trials, share) + binom.pmf(successes, trials, share) / 2) - alpha / 2

    def lower_tail(share: float) -> float:
        return float(binom.cdf(successes - 1, trials, share) + binom.pmf(successes, trials, share) / 2) - alpha / 2

    lower = 0.0 if successes == 0 else brentq(upper_tail, 0.0, successes / trials, xtol=1e-9)
    upper = 1.0 if successes == trials else brentq(lower_tail, successes / trials, 1.0, xtol=1e-9)
    return float(lower), float(upper)


def _paired_bootstrap(count: int, gained: int, lost: int, alpha: float, resamples: int = 10_000) -> tuple[float, float]:
    """Percentile interval of the difference under resampling of rows: rows fall in three kinds, so a resample of them is
    one multinomial draw.
    """
    draws = np.random.default_rng(0).multinomial(
        count, np.array([gained, lost, count - gained - lost]) / count, resamples
    )
    lower, upper = np.quantile((draws[:, 0] - draws[:, 1]) / count, [alpha / 2, 1 - alpha / 2])
    return float(lower), float(upper)
