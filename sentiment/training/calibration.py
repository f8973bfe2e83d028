"""Makes probabilities mean what they say, by logistic regressions on rows that were held back from training.

First one weight for each part of the model's logit, which also decides how much each part is trusted; the lexicon gets more
than these rows would give it (`blending`). Then beta calibration (Kull, Silva Filho and Flach 2017), which scales positive
and negative logits by factors of their own: on tweets the model is too sure of negatives and not sure enough of positives,
which no single temperature can correct. One more term makes the middle steeper than the ends, since n-grams that share words
count the same evidence twice, and one the ends steeper than the middle, since encoders train on smoothed labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from sentiment.model.config import BetaCalibration

_PRIOR_ROWS = 20.0
_SMALLEST_GRADIENT = 1e-6
_LEAST = {"b": 0.1, "a": 0.1, "c": -np.inf, "asinh": 0.0, "signed_square": 0.0}
"""With these the curve always rises."""
_PRIOR_CALIBRATION = BetaCalibration(b=0.1, a=0.1, asinh=1.2)
"""Steeper in the middle than at the ends: with few rows the lexicon counts most, whose evidence adds up to less than it seems.
On 2,000 rows, 105 of them held back, a straight line is off by 5.2 points in the mean, this by 4.2."""
_LARGEST_RAISED = 2.0
_ONE_SIDED_95 = 1.645
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


def is_affordable(calibrated: np.ndarray, best: np.ndarray, tolerance: float) -> bool:
    """Whether deciding by one logit instead of another is not shown to lose more than `tolerance` of accuracy.

    A row whose decision changes costs the difference of its classes' probabilities under the best logit. Unlike a count
    of rows that are wrong, that is smooth, and much the same from one sample of rows to the next. What a comparison on so many
    rows could not show (one-sided, 95 %) is not counted: of few rows, a cost is mostly chance.

    Args:
        calibrated, best: calibrated logits, shape (rows,).
        tolerance: 0 to 1.
    """
    if len(best) == 0:
        return True
    is_changed = (calibrated >= 0) != (best >= 0)
    cost = float(np.mean(np.abs(np.tanh(best / 2)) * is_changed))
    return cost - _ONE_SIDED_95 * float(np.sqrt(is_changed.mean() / len(best))) <= tolerance


def raise_last_weight(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, best: np.ndarray, tolerance: float
) -> np.ndarray:
    """Weights in which the last part counts as much as the tolerance allows.

    For a part that is known to be worth more out of domain than on rows like these, but not how much more. All weights are
    then scaled so that logits are as large as before: a handful of rows could not calibrate larger ones.

    Args:
        logits: float64, shape (rows, parts).
        labels: 0 or 1, shape (rows,).
        weights: shape (parts,), the best ones for these logits.
        best: calibrated logits that costs are counted from, shape (rows,).
        tolerance: accuracy that may be lost, 0 to 1; see `is_affordable`.

    Returns:
        float64, shape (parts,); before scaling, the last is between what it was, or zero, and 2.
    """
    before, last = logits[:, :-1] @ weights[:-1], logits[:, -1]
    low = max(float(weights[-1]), 0.0)
    high = max(low, _LARGEST_RAISED)
    calibrate = fit_calibration(before + low * last, labels)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if is_affordable(calibrate(before + middle * last), best, tolerance):
            low = middle
        else:
            high = middle
    raised = np.append(weights[:-1], low)
    before_scale, scale = (float(np.sqrt(np.mean((logits @ values) ** 2))) for values in (weights, raised))
    return raised * (before_scale / scale if scale > 0 else 1.0)


def fit_calibration(logits: np.ndarray, labels: np.ndarray) -> BetaCalibration:
    """The calibration of the weighted logits with the least log loss; both arguments of shape (rows,). Always increasing.

    With few rows it is close to `_PRIOR_CALIBRATION`.
    """
    logits = logits.astype(np.float64)
    terms = {
        "b": np.logaddexp(0, logits),
        "a": -np.logaddexp(0, -logits),
        "c": np.ones(len(logits)),
        "asinh": np.arcsinh(logits),
        "signed_square": logits * np.abs(logits),
    }
    prior = np.array([getattr(_PRIOR_CALIBRATION, name) for name in terms])
    coefficients = _fit_logistic(
        np.stack(list(terms.values()), axis=1), labels, prior, [_LEAST[name] for name in terms]
    )
    return BetaCalibration(**dict(zip(terms, coefficients.tolist(), strict=True)))


def _fit_logistic(
    values: np.ndarray, labels: np.ndarray, prior: np.ndarray, least: Sequence[float] | None = None
) -> np.ndarray:
    """Logistic regression, by a trust-region Newton method or, with bounds, L-BFGS-B.

    The prior pulls as strongly as some twenty rows, so that a handful of rows cannot make a model sure of itself.

    Args:
        values: float, shape (rows, terms).
        labels: 0 or 1, shape (rows,).
        prior: shape (terms,): the weights without any rows.
        least: the smallest allowed weights, shape (terms,); any are unless given.

    Returns:
        float64, shape (terms,).
    """
    values = values.astype(np.float64)
    signs = np.where(labels == 1, -1.0, 1.0)

    def loss(weights: np.ndarray) -> float:
        return float(
            np.logaddexp(0, signs * (values @ weights)).sum() + _PRIOR_ROWS / 2 * ((weights - prior) ** 2).sum()
        )

    def gradient(weights: np.ndarray) -> np.ndarray:
        return values.T @ (expit(values @ weights) - labels) + _PRIOR_ROWS * (weights - prior)

    def hessian(weights: np.ndarray) -> np.ndarray:
        probability = expit(values @ weights)
        return (values.T * (probability * (1 - probability))) @ values + _PRIOR_ROWS * np.eye(len(weights))

    if least is None:
        options = {"gtol": _SMALLEST_GRADIENT}
        found = minimize(loss, prior, jac=gradient, hess=hessian, method="trust-exact", options=options)
    else:
        bounds = [(value, None) for value in least]
        options = {"gtol": _SMALLEST_GRADIENT, "ftol": 0.0, "maxiter": 1_000}
        found = minimize(loss, prior, jac=gradient, bounds=bounds, method="L-BFGS-B", options=options)
    weights: np.ndarray = found.x
    return weights
