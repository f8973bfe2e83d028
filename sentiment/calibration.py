"""Makes probabilities mean what they say, with one weight for each part of the model's logit.

The weights are fitted by logistic regression on rows that were held back from training. With one part this is temperature
scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks"); with two it also decides how far each is trusted.
"""

from __future__ import annotations

import numpy as np

_PRIOR_ROWS = 20.0
_NEWTON_STEPS = 50
_SMALLEST_STEP = 1e-9


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log likelihood in nats; logits float, labels 0 or 1, both of shape (rows,)."""
    return float(np.mean(np.logaddexp(0.0, np.where(labels == 1, -logits, logits))))


def fit_weights(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights of the parts with the least log loss, by damped Newton steps.

    A prior pulls them towards equal weights that sum to 1, as strongly as some twenty rows, so that a handful of held-back
    rows cannot make a model sure of itself.

    Args:
        logits: float, shape (rows, parts).
        labels: 0 or 1, shape (rows,).

    Returns:
        float64, shape (parts,).
    """
    logits = logits.astype(np.float64)
    prior = np.full(logits.shape[1], 1 / logits.shape[1])

    def cost(weights: np.ndarray) -> float:
        return log_loss(logits @ weights, labels) * len(labels) + _PRIOR_ROWS / 2 * float(
            np.sum((weights - prior) ** 2)
        )

    weights = prior
    for _ in range(_NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(logits @ weights, -30, 30)))
        slope = logits.T @ (probability - labels) + _PRIOR_ROWS * (weights - prior)
        curvature = (logits.T * (probability * (1 - probability))) @ logits + _PRIOR_ROWS * np.eye(len(weights))
        step = np.linalg.solve(curvature, slope)
        while cost(weights - step) > cost(weights) and np.abs(step).max() > _SMALLEST_STEP:
            step /= 2  # a full step from a saturated start leads far away
        if np.abs(step).max() <= _SMALLEST_STEP:
            break
        weights = weights - step
    return weights
