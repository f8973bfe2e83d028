"""How good a model is, and whether one is better than another on the same rows. Pure functions of arrays.

scikit-learn, scipy and statsmodels do the arithmetic and are imported when called: they cost a second of start-up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

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
    """Challenger minus champion in accuracy, on the same rows.

    What only a report shows, and costs more than the rest, is computed when it is asked for.
    """

    count_rows: int
    count_gained: int
    count_lost: int
    difference: float
    lower: float
    upper: float
    p_value: float
    alpha: float

    @cached_property
    def detectable(self) -> float:
        """The smallest true gain that so many rows, with this share of discordant ones, show with 80 % power."""
        discordance = (self.count_gained + self.count_lost) / max(1, self.count_rows)
        return detectable_difference(self.count_rows, discordance, self.alpha)

    @property
    def bootstrap_lower(self) -> float:
        """Lower end of a paired bootstrap interval, to lay beside the other one."""
        return self._bootstrap[0]

    @property
    def bootstrap_upper(self) -> float:
        """Upper end of the paired bootstrap interval."""
        return self._bootstrap[1]

    @cached_property
    def _bootstrap(self) -> tuple[float, float]:
        return _paired_bootstrap(self.count_rows, self.count_gained, self.count_lost, self.alpha)


def paired_difference(
    champion_right: NDArray[np.bool_], challenger_right: NDArray[np.bool_], alpha: float = 0.05
) -> PairedDifference:
    """Compare two models row by row: `paired_difference_of_counts` of the rows that just one of them has right.

    Args:
        champion_right, challenger_right: shape (rows,), whether each is right.
        alpha: two-sided; the interval covers 1 - alpha.
    """
    gained = int((challenger_right & ~champion_right).sum())
    lost = int((champion_right & ~challenger_right).sum())
    return paired_difference_of_counts(len(champion_right), gained, lost, alpha)


def paired_difference_of_counts(count_rows: int, gained: int, lost: int, alpha: float = 0.05) -> PairedDifference:
    """Compare two models by the rows on which just one of them is right; the others say nothing of their difference.

    The interval is that of the mid-p McNemar test (Fagerland, Lydersen and Laake 2013): given the discordant rows, the
    challenger's share of them is binomial; its mid-p interval, scaled by the share of such rows, bounds the difference. It
    excludes zero exactly when the test rejects.

    Args:
        count_rows: all compared rows.
        gained, lost: rows that only the challenger, or only the champion, has right.
        alpha: two-sided; the interval covers 1 - alpha.
    """
    if count_rows == 0:
        return PairedDifference(0, 0, 0, 0.0, -1.0, 1.0, 1.0, alpha)
    share_lower, share_upper = _mid_p_interval(gained, gained + lost, alpha)
    scale = (gained + lost) / count_rows
    return PairedDifference(
        count_rows=count_rows,
        count_gained=gained,
        count_lost=lost,
        difference=(gained - lost) / count_rows,
        lower=(2 * share_lower - 1) * scale,
        upper=(2 * share_upper - 1) * scale,
        p_value=min(1.0, 2 * _mid_p_upper_tail(max(gained, lost), gained + lost, 0.5)),
        alpha=alpha,
    )


def detectable_difference(count_rows: int, discordance: float, alpha: float) -> float:
    """The smallest gain in accuracy that a two-sided McNemar test at `alpha` shows with 80 % power (Connor 1987).

    Where so few rows are discordant that the test could not reject though all of them were gained, the gain has to bring
    its own: as many gained rows as reject at all, with 80 % probability. The stated gain is then a little larger than it
    had to be: the power is 80 to 97 % below 40 discordant rows, 80 % beyond.

    Args:
        discordance: share of rows on which just one of the two models is right.

    Returns:
        1 when no gain at all could be shown on so few rows.
    """
    from scipy.optimize import brentq
    from scipy.special import betaincinv, ndtri

    fewest_rejecting = math.floor(-math.log2(alpha)) + 1
    if count_rows < fewest_rejecting:
        return 1.0
    discordance = max(discordance, 1 / count_rows)
    z_alpha, z_power = -ndtri(alpha / 2), ndtri(POWER)

    def shortfall(gain: float) -> float:
        spread = z_alpha * math.sqrt(discordance) + z_power * math.sqrt(max(discordance - gain**2, 0.0))
        return gain * math.sqrt(count_rows) - spread

    by_approximation = brentq(shortfall, 0.0, discordance) if shortfall(discordance) > 0 else discordance
    all_gained = betaincinv(fewest_rejecting, count_rows - fewest_rejecting + 1, POWER)
    return float(max(by_approximation, all_gained))


def _mid_p_upper_tail(successes: int, trials: int, share: float) -> float:
    """Probability of more successes, plus half of that of just as many: the mean of the tails with and without the point."""
    from scipy.special import betainc

    with_point = betainc(successes, trials - successes + 1, share) if successes > 0 else 1.0
    without = betainc(successes + 1, trials - successes, share) if successes < trials else 0.0
    return float(with_point + without) / 2


def _mid_p_interval(successes: int, trials: int, alpha: float) -> tuple[float, float]:
    """Mid-p interval of a binomial share: where each tail, half of the point itself included, is alpha / 2."""
    from scipy.optimize import brentq

    def lower_end(successes: int) -> float:
        if successes == 0:
            return 0.0
        return float(
            brentq(
                lambda share: _mid_p_upper_tail(successes, trials, share) - alpha / 2,
                0.0,
                successes / trials,
                xtol=1e-9,
            )
        )

    return (lower_end(successes), 1 - lower_end(trials - successes)) if trials else (0.0, 1.0)


def _paired_bootstrap(count: int, gained: int, lost: int, alpha: float, resamples: int = 10_000) -> tuple[float, float]:
    """Percentile interval of the difference under resampling of rows: rows fall in three kinds, so a resample of them is
    one multinomial draw.
    """
    if count == 0:
        return -1.0, 1.0
    draws = np.random.default_rng(0).multinomial(
        count, np.array([gained, lost, count - gained - lost]) / count, resamples
    )
    lower, upper = np.quantile((draws[:, 0] - draws[:, 1]) / count, [alpha / 2, 1 - alpha / 2])
    return float(lower), float(upper)
