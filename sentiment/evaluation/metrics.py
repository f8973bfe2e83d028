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
_ONE_SIDED_95 = 1.645


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
        return Evaluation(0, *[math.nan] * 6)
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
    gaps, deviations, shares = _calibration_gaps(labels, probabilities)
    return max(0.0, float(shares @ (gaps - math.sqrt(2 / math.pi) * deviations)))


def calibration_error_lower(labels: NDArray[np.int8], probabilities: NDArray[np.float32]) -> float:
    """What the mean gap between stated probability and share of positives is shown to reach: the lower end of its one-sided
    95 % interval, 0 to 1; NaN without rows.

    Chance adds much to a bin's gap that is close to zero and nothing to a large one. What it adds is taken off: the mean of a
    normal around the gap found, folded at zero, less that gap. The sum over bins varies as the mean of all labels does.
    """
    from scipy.stats import norm

    if len(labels) == 0:
        return math.nan
    gaps, deviations, shares = _calibration_gaps(labels, probabilities)
    z = np.minimum(gaps / deviations, 100)
    by_chance = deviations * (2 * norm.pdf(z) - 2 * z * norm.cdf(-z))
    deviation = math.sqrt(float(shares**2 @ deviations**2))
    return max(0.0, float(shares @ (gaps - by_chance)) - _ONE_SIDED_95 * deviation)


def _calibration_gaps(
    labels: NDArray[np.int8], probabilities: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """For each equally filled bin: the gap, its standard deviation by chance, above zero, and the bin's share of the rows."""
    order = np.argsort(probabilities, kind="stable")
    bins = np.array_split(order, min(MOST_CALIBRATION_BINS, max(1, len(labels) // CALIBRATION_BIN_ROWS)))
    found = []
    for part in bins:
        stated = probabilities[part].astype(np.float64)
        gap = abs(float(stated.mean()) - float(labels[part].mean()))
        deviation = math.sqrt(float((stated * (1 - stated)).sum())) / len(part)
        found.append((gap, max(deviation, np.finfo(np.float64).tiny), len(part) / len(labels)))
    gaps, deviations, shares = np.array(found).T
    return gaps, deviations, shares
