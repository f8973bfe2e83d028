"""Fits the two numbers that decide on neutral to a user's own hand-labelled tweets, once 200 of them are neutral.

The threshold is the one with the best macro-averaged recall of the three labels, which does not depend on how many of each
were labelled; where many do as well, the middle of these. The slope then fits the probability of neutral, each of the three
labels counting alike in all. Costs a prediction of the hand-labelled tweets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sentiment.model.neutral import LABELS, NeutralRule

if TYPE_CHECKING:
    from sentiment.model.classifier import SentimentModel

FEWEST_NEUTRAL = 200
"""Hand-labelled neutral tweets from which on the shipped numbers are replaced."""
FEWEST_OF_A_SIDE = 50
_GRID = np.arange(0.2, 8.01, 0.05)
_AS_GOOD = 0.002
_NEUTRAL = LABELS.index("neutral")


def fit_neutral(model: SentimentModel, rows: pl.DataFrame) -> NeutralRule:
    """The rule for a model: fitted, or as shipped when there are too few hand-labelled tweets or the model has no lexicon.

    Args:
        rows: columns `label` (place in `LABELS`) and `text`.
    """
    counts = [rows.filter(pl.col("label") == place).height for place in range(len(LABELS))]
    if model.lexicon is None or counts[_NEUTRAL] < FEWEST_NEUTRAL or min(counts) < FEWEST_OF_A_SIDE:
        return NeutralRule()
    logits, evidence = model.logits_and_evidence(rows["text"])
    labels = rows["label"].to_numpy()
    threshold = _best_threshold(labels, logits, evidence)
    return NeutralRule(
        threshold=threshold, slope=_best_slope(labels, evidence, threshold), count_fitted=counts[_NEUTRAL]
    )


def macro_recall(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the three labels of the share that is found; both arguments places in `LABELS`, shape (rows,)."""
    return float(np.mean([np.mean(predicted[labels == place] == place) for place in range(len(LABELS))]))


def _best_threshold(labels: np.ndarray, logits: np.ndarray, evidence: np.ndarray) -> float:
    sides = np.where(logits >= 0, LABELS.index("positive"), LABELS.index("negative"))
    recalls = np.array([macro_recall(labels, np.where(evidence < value, _NEUTRAL, sides)) for value in _GRID])
    return float(np.median(_GRID[recalls >= recalls.max() - _AS_GOOD]))


def _best_slope(labels: np.ndarray, evidence: np.ndarray, threshold: float) -> float:
    """The slope with the least log loss, each label weighing alike in all."""
    from scipy.optimize import minimize_scalar

    weights = 1 / np.bincount(labels, minlength=len(LABELS))[labels]
    distance = np.where(labels == _NEUTRAL, evidence - threshold, threshold - evidence)
    found = minimize_scalar(
        lambda slope: float(np.sum(weights * np.logaddexp(0, slope * distance))), bounds=(0.05, 5.0), method="bounded"
    )
    return float(found.x)
