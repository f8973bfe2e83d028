"""Whether the gate's claims hold, by simulation and exactly: `python -m simulations.gate`. Takes a minute.

Four claims. Two equally good models pass `better` in at most 2.5 % of comparisons. A challenger with the gain that the gate
says it can show passes in at least 78 %. A year of weekly challengers, none of them better, brings a false promotion in at
most 5 % of years. And the 90 % interval of the learning curve's forecast holds what comes.

Whether a pair passes is asked of the library's own comparison. For a number of discordant rows it passes from some number
of gained ones on: that limit is searched for once, which is what makes two million comparisons affordable, and the chance
of passing is also summed over all outcomes, so that the noise of a simulation hides nothing.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_left
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

from sentiment.evaluation.comparison import (
    LOOKS_A_YEAR,
    alpha_of_look,
    detectable_difference,
    paired_difference_of_counts,
)
from sentiment.training.learning_curve import CurvePoint, forecast, noise_of_rung
from sentiment.training.subsets import RUNGS

BUDGET = 0.05
HOLDOUTS = (1_000, 5_000, 20_000, 80_000)
DISCORDANCES = (0.02, 0.05, 0.12)
SIMULATIONS = 2_000
CURVES = 500
FORECAST_ROWS = 1_500_000
MOST_EQUAL, LEAST_DETECTED, MOST_YEARS, LEAST_COVERED = 0.025, 0.78, 0.05, 0.87

Counts = NDArray[np.int64]


@cache
def fewest_gained(discordant: int, alpha: float) -> int:
    """The fewest gained rows, out of so many discordant ones, with which a challenger passes; one more if none do."""
    outcomes = range(discordant // 2, discordant + 1)
    first = bisect_left(
        outcomes,
        True,
        key=lambda gained: paired_difference_of_counts(discordant, gained, discordant - gained, alpha).lower > 0,
    )
    return discordant // 2 + first


def passes(gained: Counts, lost: Counts, alpha: float) -> NDArray[np.bool_]:
    """Whether each pair passes `better`."""
    found, where = np.unique(gained + lost, return_inverse=True)
    return gained >= np.array([fewest_gained(count, alpha) for count in found.tolist()])[where]


def pass_rates(rng: np.random.Generator, rows: int, discordance: float, gain: float, alpha: float) -> dict[str, float]:
    """How often a challenger with this true gain passes: in simulated pairs, and exactly."""
    share = max(discordance, gain)
    gained, lost, _ = rng.multinomial(rows, [(share + gain) / 2, (share - gain) / 2, 1 - share], SIMULATIONS).T
    counts = np.arange(binom.ppf(1e-9, rows, share), binom.isf(1e-9, rows, share) + 1).astype(int)
    limits = np.array([fewest_gained(count, alpha) for count in counts.tolist()])
    chances = binom.pmf(counts, rows, share) * binom.sf(limits - 1, counts, (share + gain) / 2 / share)
    return {"simulated": float(passes(gained, lost, alpha).mean()), "exact": float(chances.sum())}


def false_years(rng: np.random.Generator, rows: int, discordance: float, kinship: float) -> float:
    """Share of simulated years in which a challenger that is no better was promoted.

    Each row has a chance of being right, the same for every training: most rows are easy or hopeless, the others spread
    evenly. Champion and challengers draw from it on the same rows, so the champion's luck there is shared by all looks of
    the year. With `kinship` challengers also resemble each other, as nested subsets make them: that share of their rows is
    drawn once for the year.
    """
    levels = (np.arange(20) + 0.5) / 20
    contested = np.round(rows * discordance / (2 * levels * (1 - levels)).mean() / len(levels)).astype(int)
    right = rng.binomial(contested, levels, (SIMULATIONS, len(levels)))
    kin_gained = rng.binomial(contested - right, levels)
    kin_kept = rng.binomial(right, levels)
    alike, unlike = kinship + (1 - kinship) * levels, (1 - kinship) * levels
    is_promoted = np.zeros(SIMULATIONS, dtype=bool)
    for look in range(1, LOOKS_A_YEAR + 1):
        gained = rng.binomial(kin_gained, alike) + rng.binomial(contested - right - kin_gained, unlike)
        kept = rng.binomial(kin_kept, alike) + rng.binomial(right - kin_kept, unlike)
        # After a false promotion the year counts as lost.
        is_promoted |= passes(gained.sum(axis=1), (right - kept).sum(axis=1), alpha_of_look(look, BUDGET))
    return float(is_promoted.mean())


def forecast_coverage(rng: np.random.Generator, noise_times: float) -> dict[str, float]:
    """How often the 90 % interval, from the rungs up to 400,000 rows, holds what 1.5 million rows bring, and its width.

    Curves reach 78 to 84 % at the last rung, rose by 1.5 to 6 points until there, with exponents of 0.1 to 0.8. Each rung
    has the noise of a hold-out of 80,000 rows, `noise_times` as large as the forecast is told.
    """
    told = noise_of_rung(HOLDOUTS[-1])
    rungs = [rung for rung in RUNGS if rung <= 400_000]
    is_covered, widths, misses = [], [], []
    for _ in range(CURVES):
        top, rise, exponent = rng.uniform(0.78, 0.84), rng.uniform(0.015, 0.06), rng.uniform(0.1, 0.8)
        factor = rise / (rungs[0] ** -exponent - rungs[-1] ** -exponent)
        limit = top + factor * rungs[-1] ** -exponent
        seen = [
            limit - factor * rows**-exponent + noise_times * told * rng.standard_normal()
            for rows in (*rungs, FORECAST_ROWS)
        ]
        points = [CurvePoint(rows, value, told, rows / 1e4) for rows, value in zip(rungs, seen[:-1], strict=True)]
        found = forecast(points, FORECAST_ROWS)
        is_covered.append(found.lower <= seen[-1] <= found.upper)
        widths.append(100 * (found.upper - found.lower))
        misses.append(100 * abs(found.expected - seen[-1]))
    return {
        "noise_times": noise_times,
        "coverage": float(np.mean(is_covered)),
        "median_width_points": float(np.median(widths)),
        "width_points_of_nine_in_ten": float(np.quantile(widths, 0.9)),
        "median_miss_points": float(np.median(misses)),
    }


def upper_bound(share: float, count: int) -> float:
    """Upper end of the 95 % interval of a simulated share (Clopper and Pearson)."""
    return float(beta.ppf(0.975, share * count + 1, count - share * count))


def main() -> None:
    """Simulate, print a table for each claim, write the figures down; exit status 1 when a claim does not hold."""
    rng = np.random.default_rng(2009)
    alpha = alpha_of_look(1, BUDGET)
    pairs: list[dict[str, Any]] = []
    print(f"First comparison of a year, at {1 - alpha:.2%}; {SIMULATIONS:,} pairs each (simulated / exact)")
    print("   rows  discordant   equally good pass   detectable gain   with that gain pass")
    for rows in HOLDOUTS:
        for discordance in DISCORDANCES:
            gain = detectable_difference(rows, discordance, alpha)
            equal = pass_rates(rng, rows, discordance, 0.0, alpha)
            better = pass_rates(rng, rows, discordance, gain, alpha)
            pairs.append({"rows": rows, "discordance": discordance, "gain": gain, "equal": equal, "better": better})
            print(
                f"{rows:7,}  {discordance:10.0%}   {equal['simulated']:8.2%} / {equal['exact']:.2%}   "
                f"{gain * 100:8.2f} points   {better['simulated']:10.1%} / {better['exact']:.1%}"
            )
    years = [
        {"rows": rows, "discordance": 0.1, "kinship": kinship, "false_promotion": false_years(rng, rows, 0.1, kinship)}
        for rows in HOLDOUTS
        for kinship in (0.0, 0.5)
    ]
    print(f"\nYears of {LOOKS_A_YEAR} challengers, none better, that promoted one; {SIMULATIONS:,} years each")
    for year in years:
        print(
            f"{year['rows']:7,} rows, kinship of challengers {year['kinship']:.1f}: {year['false_promotion']:.2%} "
            f"(at most {upper_bound(year['false_promotion'], SIMULATIONS):.2%} with 97.5 % confidence)"
        )
    curves = [forecast_coverage(rng, noise_times) for noise_times in (1.0, 1.5)]
    print(f"\nForecast of {FORECAST_ROWS:,} rows from rungs up to 400,000; {CURVES} curves each")
    for curve in curves:
        print(
            f"noise {curve['noise_times']:.1f} times as told: the 90 % interval holds {curve['coverage']:.1%}; it is "
            f"{curve['median_width_points']:.2f} points wide ({curve['width_points_of_nine_in_ten']:.2f} in nine of ten), "
            f"off by {curve['median_miss_points']:.2f}"
        )
    claims = {
        "equally good pairs pass in at most 2.5 %": all(max(pair["equal"].values()) <= MOST_EQUAL for pair in pairs),
        "detectable gains pass in at least 78 %": all(min(pair["better"].values()) >= LEAST_DETECTED for pair in pairs),
        "false promotions in at most 5 % of years": all(year["false_promotion"] <= MOST_YEARS for year in years),
        "the forecast's 90 % interval holds at least 87 %": curves[0]["coverage"] >= LEAST_COVERED,
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'FAILS'}: {claim}")
    result = {"alpha": alpha, "pairs": pairs, "years": years, "curves": curves, "claims": claims}
    target = Path(__file__).with_name("results") / "gate.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    if not all(claims.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
