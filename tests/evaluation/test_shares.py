"""The estimated share of positive tweets: right where shares are planted, and as wide as it is uncertain."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment.errors import InputError
from sentiment.evaluation.shares import ClassScores, class_scores, estimate_share

rng = np.random.default_rng(7)


def scored(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Probabilities of a model that is right on five of six tweets."""
    logits = np.where(labels == 1, 1.4, -1.4) + 1.45 * rng.standard_normal(len(labels))
    probabilities: np.ndarray = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return probabilities


@pytest.mark.parametrize("count", [200, 2_000, 20_000])
def test_planted_shares_are_found_and_the_interval_holds_them(count: int) -> None:
    rng = np.random.default_rng(count)
    held, errors, counted = [], [], []
    for _ in range(60):
        holdout = rng.integers(0, 2, 20_000)
        scores = class_scores(holdout, scored(holdout, rng))
        for share in np.arange(0.1, 0.95, 0.1):
            labels = (np.arange(count) < round(share * count)).astype(int)
            probabilities = scored(labels, rng)
            found = estimate_share(probabilities, scores)
            held.append(found.lower <= labels.mean() <= found.upper)
            errors.append(abs(found.share - labels.mean()))
            counted.append(abs((probabilities >= 0.5).mean() - labels.mean()))
    assert 0.925 <= np.mean(held) <= 0.975
    assert np.mean(errors) < np.mean(counted) / (2.5 if count == 200 else 3)


def test_a_group_of_one_class_lies_at_the_end_and_stays_between_none_and_all() -> None:
    labels = np.repeat([0, 1], 5_000)
    probabilities = scored(labels, rng)
    scores = class_scores(labels, probabilities)
    assert estimate_share(probabilities[5_000:], scores).upper == 1.0
    low = estimate_share(np.zeros(3, dtype=np.float32), scores)
    assert (low.share, low.lower) == (0.0, 0.0)
    assert low.upper > 0.1


def test_class_scores_are_means_and_variances_of_each_class() -> None:
    found = class_scores(np.array([0, 1, 0, 1]), np.array([0.1, 0.7, 0.3, 0.9], dtype=np.float32))
    assert (found.count_rows_negative, found.count_rows_positive) == (2, 2)
    assert (found.mean_negative, found.mean_positive) == pytest.approx((0.2, 0.8))
    assert (found.variance_negative, found.variance_positive) == pytest.approx((0.01, 0.01))


def test_what_cannot_be_estimated_is_a_sentence() -> None:
    useless = ClassScores(10, 10, 0.5, 0.5, 0.1, 0.1)
    with pytest.raises(InputError, match="cannot tell them apart"):
        estimate_share(np.array([0.5], dtype=np.float32), useless)
    with pytest.raises(InputError, match="Found no tweet"):
        estimate_share(np.zeros(0, dtype=np.float32), useless)
