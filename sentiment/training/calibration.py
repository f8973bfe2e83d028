"""Makes probabilities mean what they say, by logistic regressions on rows that were held back from training.

First one weight for each part of the model's logit, which also decides how far each part is trusted; the lexicon gets more
than these rows would give it (`part_weights`). Then beta calibration
(Kull, Silva Filho and Flach 2017), which bends the positive and the negative side by factors of their own: on tweets the
model is too sure of negatives and not sure enough of positives, and no single temperature can mend both. One more term
makes the middle steeper than the ends, since n-grams that share words count the same evidence twice, and one the ends than
the middle, since encoders learn from labels that are never quite sure.
"""

from __future__ import annotations

import numpy as np

from sentiment.model.config import Bend

_PRIOR_ROWS = 20.0
_NEWTON_STEPS = 50
_SMALLEST_STEP = 1e-9
_SMALLEST_FACTOR = 0.1
_LARGEST_RAISED = 4.0
_HALVINGS = 12


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log likelihood in nats; logits float, labels 0 or 1, both of shape (rows,)."""
    return float(np.mean(np.logaddexp(0.0, np.where(labels == 1, -logits, logits))))


def fit_weights(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights of the parts with the least log loss; with no rows at all, equal ones that sum to 1.

    Args:
        logits: float, shape (rows, parts).
        labels: 0 or 1, shape (rows,).

    Returns:
        float64, shape (parts,).
    """
    return _fit_logistic(logits, labels, prior=np.full(logits.shape[1], 1 / logits.shape[1]))


def cost_of_decisions(bent: np.ndarray, best: np.ndarray) -> float:
    """The accuracy that is lost by deciding by one logit instead of another, 0 to 1.

    A row whose decision changes costs the difference of its classes' probabilities under the best logit. Unlike a count
    of rows that are wrong, that is smooth, and much the same from one sample of rows to the next.

    Args:
        bent, best: calibrated logits, shape (rows,).
    """
    if len(best) == 0:
        return 0.0
    return float(np.mean(np.abs(np.tanh(best / 2)) * ((bent >= 0) != (best >= 0))))


def raise_last_weight(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, best: np.ndarray, tolerance: float
) -> np.ndarray:
    """Weights in which the last part counts as much as the tolerance allows.

    For a part that is known to be worth more elsewhere than on rows like these, but not how much more.

    Args:
        logits: float64, shape (rows, parts).
        labels: 0 or 1, shape (rows,).
        weights: shape (parts,), the best ones for these logits.
        best: calibrated logits that costs are counted from, shape (rows,).
        tolerance: accuracy that may be lost, 0 to 1; see `cost_of_decisions`.

    Returns:
        float64, shape (parts,); the last is between what it was, or zero, and 4.
    """
    before, last = logits[:, :-1] @ weights[:-1], logits[:, -1]
    low, high = max(float(weights[-1]), 0.0), _LARGEST_RAISED
    bend = fit_bend(before + low * last, labels)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if cost_of_decisions(bend(before + middle * last), best) > tolerance:
            high = middle
        else:
            low = middle
    return np.append(weights[:-1], low)


def fit_bend(logits: np.ndarray, labels: np.ndarray) -> Bend:
    """The bend of the weighted logits with the least log loss; both arguments of shape (rows,). Never changes their order."""
    logits = logits.astype(np.float64)
    terms = {
        "rise": np.logaddexp(0, logits),
        "fall": -np.logaddexp(0, -logits),
        "offset": np.ones(len(logits)),
        "middle": np.arcsinh(logits),
        "ends": logits * np.abs(logits),
    }
    while True:
        prior = np.array([float(name in ("rise", "fall")) for name in terms])
        found = dict(
            zip(terms, _fit_logistic(np.stack(list(terms.values()), axis=1), labels, prior).tolist(), strict=True)
        )
        least = min(("middle", "ends"), key=lambda name: found.get(name, 0.0))
        if found.get(least, 0.0) >= 0:
            break
        del terms[least]  # below zero it could turn the order round
    return Bend(**found | {side: max(found[side], _SMALLEST_FACTOR) for side in ("rise", "fall")})


def _fit_logistic(values: np.ndarray, labels: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Logistic regression by damped Newton steps.

    The prior pulls as strongly as some twenty rows, so that a handful of rows cannot make a model sure of itself.
    """
    values = values.astype(np.float64)

    def cost(weights: np.ndarray) -> float:
        surprise = np.logaddexp(0.0, np.where(labels == 1, -1, 1) * (values @ weights)).sum()
        return float(surprise + _PRIOR_ROWS / 2 * np.sum((weights - prior) ** 2))

    weights = prior
    for _ in range(_NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(values @ weights, -30, 30)))
        slope = values.T @ (probability - labels) + _PRIOR_ROWS * (weights - prior)
        curvature = (values.T * (probability * (1 - probability))) @ values + _PRIOR_ROWS * np.eye(len(weights))
        step = np.linalg.solve(curvature, slope)
        while cost(weights - step) > cost(weights) and np.abs(step).max() > _SMALLEST_STEP:
            step /= 2  # a full step from a saturated start leads far away
        if np.abs(step).max() <= _SMALLEST_STEP:
            break
        weights = weights - step
    return weights
