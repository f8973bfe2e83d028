"""Whether a day is unlike the days before it: thresholds come from those days."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment.monitoring.drift import FEWEST_REFERENCE_DAYS, judge_distribution, judge_level

SHARES = np.array([0.5, 0.3, 0.15, 0.05])


def days(rng: np.random.Generator, count: int, tweets: int = 2_000, spread: float = 0.0) -> np.ndarray:
    """Days of so many tweets whose shares differ by `spread` from day to day."""
    moved = SHARES * np.exp(rng.normal(0, spread, (count, len(SHARES))))
    return np.array([rng.multinomial(tweets, row / row.sum()) for row in moved])


def test_a_day_like_the_others_is_within_and_one_of_another_kind_beyond() -> None:
    rng = np.random.default_rng(0)
    reference = days(rng, 28)
    assert not judge_distribution(days(rng, 1)[0], reference).is_beyond
    other = judge_distribution(rng.multinomial(2_000, SHARES[::-1]), reference)
    assert other.is_beyond
    assert other.threshold is not None
    assert other.value > 0.3 > other.threshold


def test_days_that_differ_much_make_a_wide_threshold() -> None:
    rng = np.random.default_rng(1)
    calm, restless = (judge_distribution(days(rng, 1)[0], days(rng, 28, spread=spread)) for spread in (0.0, 0.3))
    assert calm.threshold is not None
    assert restless.threshold is not None
    assert restless.threshold > 2 * calm.threshold


def test_a_small_day_is_given_what_sampling_alone_shows() -> None:
    rng = np.random.default_rng(2)
    reference = days(rng, 28, tweets=20_000)
    small = [judge_distribution(row, reference) for row in days(rng, 50, tweets=150)]
    assert sum(found.is_beyond for found in small) <= 5
    assert all(found.value > 0.03 for found in small[:1])


def test_about_one_day_in_a_hundred_is_beyond_by_chance() -> None:
    rng = np.random.default_rng(3)
    beyond = [judge_distribution(days(rng, 1)[0], days(rng, 28, spread=0.1)).is_beyond for _ in range(150)]
    levels = [judge_level(row[0], row[1:].tolist(), least=0).is_beyond for row in rng.normal(size=(1_500, 29))]
    assert np.mean(beyond) < 0.05
    assert 0.003 < np.mean(levels) < 0.02


@pytest.mark.parametrize("count", [1, FEWEST_REFERENCE_DAYS - 1])
def test_without_enough_days_of_reference_there_is_a_value_and_no_verdict(count: int) -> None:
    reference = days(np.random.default_rng(4), count)
    found = judge_distribution(reference[0], reference)
    assert (found.threshold, found.is_beyond) == (None, False)
    assert found.value == pytest.approx(0, abs=0.1)
    assert judge_level(5.0, [0.0] * count, least=0).threshold is None


def test_a_level_is_judged_on_the_side_it_lies_and_only_below_where_high_is_good() -> None:
    usual = [10.0, 10.1, 9.9] * 6
    assert judge_level(12.0, usual, least=0).is_beyond
    assert judge_level(8.0, usual, least=0).is_beyond
    assert not judge_level(12.0, usual, least=0, only_below=True).is_beyond
    assert not judge_level(11.0, usual, least=1.5).is_beyond
    low = judge_level(8.0, usual, least=0)
    assert low.threshold is not None
    assert 8 < low.threshold < 10


def test_an_empty_day_has_nothing_in_common() -> None:
    rng = np.random.default_rng(5)
    assert judge_distribution(np.zeros(4, dtype=np.int64), days(rng, 28)).value == 1
