"""Whether one model is better than another on the same rows: exact paired tests, intervals, and the price of looking."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

LOOKS_A_YEAR = 52
FIRST_LOOK_SHARE = 1 / 3
POWER = 0.8


def alpha_of_look(look: int, alpha: float) -> float:
    """Two-sided alpha that a comparison may use, given how many were made on this hold-out within a year.

    False promotions add up over looks, so looks are paid for out of a yearly budget of `alpha`, one-sided. The first
    look spends a third of it: of 5 % that is 1.7 %, safely within the 2.5 % of the usual 95 % interval. Each further look
    of a year of weekly challengers spends 1/52 of the rest, and looks beyond those a half, a quarter, … of that: the sum
    never exceeds the budget.
    """
    if look <= 1:
        return 2 * alpha * FIRST_LOOK_SHARE
    share = 2 * alpha * (1 - FIRST_LOOK_SHARE) / LOOKS_A_YEAR
    return share if look < LOOKS_A_YEAR else share * 0.5 ** (look - LOOKS_A_YEAR + 1)


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
        """Lower end of a paired bootstrap interval, to compare with the other one."""
        return self._bootstrap[0]

    @property
    def bootstrap_upper(self) -> float:
        """Upper end of the paired bootstrap interval."""
        return self._bootstrap[1]

    @cached_property
    def _bootstrap(self) -> tuple[float, float]:
        return _paired_bootstrap(self.count_rows, self.count_gained, self.count_lost, self.alpha)


def paired_difference(
    champion_right: NDArray[np.bool_],
    challenger_right: NDArray[np.bool_],
    alpha: float = 0.05,
    clusters: NDArray[np.str_] | None = None,
) -> PairedDifference:
    """Compare two models row by row: `paired_difference_of_counts` of the rows that just one of them has right.

    Args:
        champion_right, challenger_right: shape (rows,), whether each is right.
        alpha: two-sided; the interval covers 1 - alpha.
        clusters: shape (rows,): rows of one cluster tend to be right or wrong together. Counts are divided by the design
            effect in test and interval (Rao and Scott 1992); `detectable` and bootstrap take rows as independent.
    """
    gained, lost = int((challenger_right & ~champion_right).sum()), int((champion_right & ~challenger_right).sum())
    effect = 1.0 if clusters is None else _design_effect(challenger_right.astype(np.float64) - champion_right, clusters)
    return paired_difference_of_counts(len(champion_right), gained, lost, alpha, 1 / effect)


def _design_effect(differences: NDArray[np.float64], clusters: NDArray[np.str_]) -> float:
    """How many times larger the variance of the mean is than that of as many independent rows; 1 where one cluster is all."""
    _, cluster_of_row = np.unique(clusters, return_inverse=True)
    deviations = differences - differences.mean() if len(differences) else differences
    sums = np.bincount(cluster_of_row, deviations)
    independent = float(deviations @ deviations)
    if len(sums) < 2 or independent == 0:
        return 1.0
    between, within = len(sums) / (len(sums) - 1), len(deviations) / (len(deviations) - 1)
    return max(1.0, float(sums @ sums) * between / (independent * within))


def paired_difference_of_counts(
    count_rows: int, gained: int, lost: int, alpha: float = 0.05, independent: float = 1.0
) -> PairedDifference:
    """Compare two models by the rows on which just one of them is right; the others say nothing of their difference.

    The interval is that of the mid-p McNemar test (Fagerland, Lydersen and Laake 2013): given the discordant rows, the
    challenger's share of them is binomial; its mid-p interval, scaled by the share of such rows, bounds the difference. It
    excludes zero exactly when the test rejects.

    Args:
        count_rows: all compared rows.
        gained, lost: rows that only the challenger, or only the champion, has right.
        alpha: two-sided; the interval covers 1 - alpha.
        independent: the share of these rows that count, where some are right or wrong together.
    """
    if count_rows == 0:
        return PairedDifference(0, 0, 0, 0.0, -1.0, 1.0, 1.0, alpha)
    count = (gained + lost) * independent
    share_lower, share_upper = _mid_p_interval(gained * independent, count, alpha)
    scale = (gained + lost) / count_rows
    return PairedDifference(
        count_rows=count_rows,
        count_gained=gained,
        count_lost=lost,
        difference=(gained - lost) / count_rows,
        lower=(2 * share_lower - 1) * scale,
        upper=(2 * share_upper - 1) * scale,
        p_value=min(1.0, 2 * _mid_p_upper_tail(max(gained, lost) * independent, count, 0.5)),
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


def _mid_p_upper_tail(successes: float, trials: float, share: float) -> float:
    """Probability of more successes, plus half of that of just as many: the mean of the tails with and without the point."""
    from scipy.special import betainc

    with_point = betainc(successes, trials - successes + 1, share) if successes > 0 else 1.0
    without = betainc(successes + 1, trials - successes, share) if successes < trials else 0.0
    return float(with_point + without) / 2


def _mid_p_interval(successes: float, trials: float, alpha: float) -> tuple[float, float]:
    """Mid-p interval of a binomial share: where each tail, half of the point itself included, is alpha / 2."""
    from scipy.optimize import brentq

    def lower_end(successes: float) -> float:
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
