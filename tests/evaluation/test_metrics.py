"""The statistics of the gate, against other implementations, by hand, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from sentiment.evaluation.comparison import detectable_difference, paired_difference, paired_difference_of_counts
from sentiment.evaluation.metrics import calibration_error, calibration_error_lower, evaluate


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def pairs(both: int, gained: int, lost: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether champion and challenger are right, with so many rows of each kind."""
    counts = [both, gained, lost, neither]
    return np.repeat([True, False, True, False], counts), np.repeat([True, True, False, False], counts)


def test_a_case_computed_by_hand() -> None:
    """Ten discordant rows, nine of them gained: 2 × P(X ≤ 1) - P(X = 1) = 2 × 11/1024 - 10/1024 = 12/1024."""
    found = paired_difference(*pairs(60, 9, 1, 30))
    assert (found.count_rows, found.count_gained, found.count_lost) == (100, 9, 1)
    assert found.difference == pytest.approx(0.08)
    assert found.p_value == pytest.approx(12 / 1024)
    assert 0 < found.lower < 0.08 < found.upper < 0.1


@pytest.mark.parametrize(("gained", "lost"), [(9, 1), (30, 12), (5, 5), (0, 3), (200, 150)])
def test_the_p_value_lies_below_the_exact_one_by_the_probability_of_the_point(gained: int, lost: int) -> None:
    found = paired_difference(*pairs(50, gained, lost, 50))
    exact = mcnemar([[50, gained], [lost, 50]], exact=True).pvalue
    point = math.comb(gained + lost, gained) / 2 ** (gained + lost)
    expected = 1.0 if gained == lost else exact - point
    assert found.p_value == pytest.approx(expected)


def test_with_many_rows_the_p_value_is_that_of_the_asymptotic_test() -> None:
    found = paired_difference(*pairs(9000, 560, 480, 2000))
    assert found.p_value == pytest.approx(mcnemar([[0, 560], [480, 0]], exact=False, correction=False).pvalue, rel=0.02)


@hypothesis(max_examples=100, deadline=None)
@given(
    st.integers(0, 60), st.integers(0, 60), st.integers(0, 300), st.sampled_from([0.05, 0.01, 0.001, 0.05 / 52, 0.2])
)
def test_the_interval_excludes_zero_exactly_when_the_test_rejects(
    gained: int, lost: int, both: int, alpha: float
) -> None:
    found = paired_difference(*pairs(both, gained, lost, 1), alpha)
    is_excluded = found.lower > 0 or found.upper < 0
    if abs(found.p_value - alpha) > 1e-7:
        assert is_excluded == (found.p_value < alpha)
    assert found.lower <= found.difference <= found.upper
    mirrored = paired_difference(*pairs(both, lost, gained, 1), alpha)
    assert (mirrored.lower, mirrored.upper) == pytest.approx((-found.upper, -found.lower), abs=1e-8)


def test_the_interval_covers_the_true_difference_as_often_as_it_says(rng: np.random.Generator) -> None:
    """The difference given the share of discordant rows, which is what the test conditions on."""
    count, trials, share = 400, 60, 0.65
    draws, times = np.unique(rng.binomial(trials, share, 2000), return_counts=True)
    found = [paired_difference(*pairs(count - trials, gained, trials - gained, 0)) for gained in draws.tolist()]
    is_covered = [each.lower <= (2 * share - 1) * trials / count <= each.upper for each in found]
    assert 0.93 <= np.average(is_covered, weights=times) <= 0.975


def test_the_bootstrap_agrees_with_the_interval_where_both_are_good() -> None:
    found = paired_difference(*pairs(3000, 300, 200, 500))
    assert (found.bootstrap_lower, found.bootstrap_upper) == pytest.approx((found.lower, found.upper), abs=0.002)


def test_rows_on_which_both_agree_say_nothing() -> None:
    found = paired_difference(*pairs(100, 0, 0, 20))
    assert (found.difference, found.p_value, found.lower, found.upper) == (0, 1, 0, 0)


def test_no_rows_show_nothing() -> None:
    found = paired_difference(np.zeros(0, dtype=bool), np.zeros(0, dtype=bool))
    assert (found.count_rows, found.lower, found.upper, found.p_value, found.detectable) == (0, -1, 1, 1, 1)


def test_rows_of_clusters_that_agree_prove_as_much_as_a_row_for_each() -> None:
    whole, tenfold = pairs(30, 1, 9, 0), pairs(300, 10, 90, 0)
    alike = paired_difference(*tenfold, clusters=np.repeat(np.arange(40), 10).astype(str))
    apart = paired_difference(*whole)
    assert (alike.count_lost, alike.difference) == (90, apart.difference)
    assert alike.p_value == pytest.approx(apart.p_value, rel=0.2)
    assert (alike.lower, alike.upper) == pytest.approx((apart.lower, apart.upper), abs=0.01)


def test_a_loss_in_a_few_large_clusters_may_be_chance() -> None:
    rows = pairs(240, 0, 14, 0)
    templates = np.array([*np.arange(240) % 20, *np.repeat([0, 1, 2], [9, 4, 1])]).astype(str)
    assert paired_difference(*rows).p_value < 0.001
    assert paired_difference(*rows, clusters=templates).p_value > 0.05


def test_a_loss_in_all_of_one_cluster_is_one() -> None:
    rows = pairs(0, 0, 20, 0)
    assert paired_difference(*rows, clusters=np.full(20, "only")) == paired_difference(*rows)


def test_clusters_of_one_row_change_nothing() -> None:
    rows = pairs(50, 20, 6, 9)
    assert paired_difference(*rows, clusters=np.arange(85).astype(str)) == paired_difference(*rows)
    agreed = pairs(50, 0, 0, 9)
    assert paired_difference(*agreed, clusters=np.arange(59).astype(str)) == paired_difference(*agreed)


@hypothesis(max_examples=50, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 9), st.sampled_from([0.05, 0.05 / 17]))
def test_the_interval_of_clusters_excludes_zero_exactly_when_the_test_rejects(
    gained: int, lost: int, count_clusters: int, alpha: float
) -> None:
    rows = pairs(20, gained, lost, 5)
    clusters = (np.arange(len(rows[0])) % count_clusters).astype(str)
    found = paired_difference(*rows, alpha, clusters)
    if abs(found.p_value - alpha) > 1e-7:
        assert (found.lower > 0 or found.upper < 0) == (found.p_value < alpha)
    assert found.lower <= found.difference <= found.upper


@pytest.mark.parametrize(("count", "discordance"), [(2_000, 0.1), (20_000, 0.06)])
def test_the_detectable_difference_is_detected_four_times_in_five(
    rng: np.random.Generator, count: int, discordance: float
) -> None:
    gain = detectable_difference(count, discordance, alpha=0.05)
    shares = [(discordance + gain) / 2, (discordance - gain) / 2, 1 - discordance]
    draws = rng.multinomial(count, shares, 150)
    found = [paired_difference(*pairs(rest, gained, lost, 0)).lower > 0 for gained, lost, rest in draws]
    assert 0.72 <= np.mean(found) <= 0.88


def test_more_rows_and_a_laxer_alpha_detect_smaller_differences() -> None:
    assert detectable_difference(10_000, 0.1, 0.05) < detectable_difference(1_000, 0.1, 0.05)
    assert detectable_difference(1_000, 0.1, 0.05) < detectable_difference(1_000, 0.1, 0.001)


def test_too_few_discordant_rows_are_not_said_to_show_what_they_cannot() -> None:
    """Five gained rows are the fewest that reject at 5 %; a gain of the one discordant row in ten would bring one."""
    assert [paired_difference_of_counts(10, gained, 0).lower > 0 for gained in (4, 5)] == [False, True]
    gain = detectable_difference(10, 0.1, 0.05)
    assert sum(math.comb(10, k) * gain**k * (1 - gain) ** (10 - k) for k in range(5, 11)) == pytest.approx(0.8)
    assert detectable_difference(4, 0.1, 0.05) == 1


@pytest.mark.parametrize(("count", "discordant"), [(1_000, 2), (1_000, 7), (20_000, 12), (1_000, 20), (1_000, 40)])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 52])
def test_the_stated_gain_is_shown_four_times_in_five_and_no_gain_seldom_exactly(
    count: int, discordant: int, alpha: float
) -> None:
    """Summed over every outcome, not simulated."""
    gain = detectable_difference(count, discordant / count, alpha)
    share = max(discordant / count, gain)
    trials = np.arange(binom.ppf(1e-7, count, share), binom.isf(1e-7, count, share) + 1).astype(int)
    fewest = [
        next((k for k in range(t // 2, t + 1) if paired_difference_of_counts(count, k, t - k, alpha).lower > 0), t + 1)
        for t in trials.tolist()
    ]
    weights = binom.pmf(trials, count, share)
    powers = binom.sf(np.array(fewest) - 1, trials, (share + gain) / 2 / share)
    assert weights @ powers >= 0.799
    assert weights @ binom.sf(np.array(fewest) - 1, trials, 0.5) <= alpha / 2 * 1.02


def test_probabilities_that_mean_what_they_say_are_calibrated(rng: np.random.Generator) -> None:
    probabilities = rng.random(60_000).astype(np.float32)
    labels = (rng.random(60_000) < probabilities).astype(np.int8)
    assert calibration_error(labels, probabilities) < 0.012


@pytest.mark.parametrize(("stated", "share"), [(0.95, 0.7), (0.5, 0.9), (1.0, 1.0)])
def test_the_calibration_error_is_the_gap_between_what_is_stated_and_what_happens(
    rng: np.random.Generator, stated: float, share: float
) -> None:
    labels = (rng.permutation(30_000) < share * 30_000).astype(np.int8)
    probabilities = np.full(30_000, stated, dtype=np.float32)
    assert calibration_error(labels, probabilities) == pytest.approx(abs(stated - share), abs=0.01)


def test_over_confidence_on_both_sides_does_not_cancel() -> None:
    labels = np.tile([1, 1, 1, 0, 0, 0, 0, 1], 5_000).astype(np.int8)
    probabilities = np.tile([1, 1, 1, 1, 0, 0, 0, 0], 5_000).astype(np.float32)
    assert calibration_error(labels, probabilities) == pytest.approx(0.25, abs=0.02)


def test_an_evaluation_counts_what_is_right_from_a_half_on() -> None:
    labels = np.array([1, 1, 0, 0, 0], dtype=np.int8)
    found = evaluate(labels, np.array([0.5, 0.4, 0.49, 0.1, 0.9], dtype=np.float32))
    assert (found.count_rows, found.accuracy, found.majority_share) == (5, 0.6, 0.6)
    assert (found.lower, found.upper) == pytest.approx(proportion_confint(3, 5, method="wilson"))
    expected = -np.log([0.5, 0.4, 0.51, 0.9, 0.1]).mean()
    assert found.log_loss == pytest.approx(expected, rel=1e-6)


def test_an_evaluation_survives_certainty_one_class_and_no_rows() -> None:
    sure = evaluate(np.ones(4, dtype=np.int8), np.array([1, 1, 0, 1], dtype=np.float32))
    assert sure.accuracy == 0.75
    assert math.isfinite(sure.log_loss)
    assert sure.majority_share == 1
    none = evaluate(np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.float32))
    assert none.count_rows == 0
    assert math.isnan(none.accuracy)


def shown_above_five_points(rng: np.random.Generator, count: int, off: float, rounds: int = 200) -> float:
    """How often the calibration error is shown to exceed 5 points, of a model that says so much too much."""
    found = []
    for _ in range(rounds):
        probabilities = rng.beta(1.3, 1.3, count) * 0.6 + 0.2
        labels = (rng.random(count) < probabilities).astype(np.int8)
        found.append(calibration_error_lower(labels, (probabilities + off).astype(np.float32)) > 0.05)
    return float(np.mean(found))


@pytest.mark.parametrize("count", [243, 2_000, 10_000])
def test_a_calibration_error_of_five_points_is_shown_to_be_more_in_one_case_of_twenty(
    count: int, rng: np.random.Generator
) -> None:
    assert shown_above_five_points(rng, count, 0.0) < 0.01
    assert shown_above_five_points(rng, count, 0.05) < 0.12


@pytest.mark.parametrize(("count", "power"), [(243, 0.4), (1_000, 0.9), (10_000, 1.0)])
def test_a_calibration_error_of_ten_points_is_shown(count: int, power: float, rng: np.random.Generator) -> None:
    assert shown_above_five_points(rng, count, 0.1) >= power


def test_a_calibration_error_without_any_noise_is_shown_in_full() -> None:
    labels = np.array([0] * 50 + [1] * 50, dtype=np.int8)
    assert calibration_error_lower(labels, labels.astype(np.float32)) == 0
    assert calibration_error_lower(labels, np.ones(100, dtype=np.float32)) == pytest.approx(0.5)
