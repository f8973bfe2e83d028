"""How much each part of a model counts: in domain, on rows like the training rows, and out of domain.

How much to trust the parts on rows like the training rows is fitted. But later tweets are about other things, and held-back
rows cannot show what that changes: what was learnt about topics of the training period stops being true. Two things are known
that no fit on these rows can find. Out of domain, words that the lexicon does not know, most of them topics, should count
less, and the lexicon more; both in proportion to a tweet's out-of-vocabulary rate (`SentimentModel.word_weights`), which
is higher out of domain more often, and whose higher values cost little in domain. Nobody knows how much, hence the rule: as
far as it costs little in domain, a fraction of a point. Words are discounted unless that alone is shown to cost
`DISCOUNT_TOLERANCE` of accuracy, then the lexicon's weight is raised until both together are shown to cost `TOLERANCE`. The
fewer rows there are, the less can be shown, and the more the lexicon counts: what few rows teach is worth little elsewhere.

No tweet of another source is used for this. Costs a second or two after training, for scoring the held-back rows twice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from sentiment.model.classifier import SentimentModel
from sentiment.model.config import ModelConfig
from sentiment.training.calibration import fit_calibration, fit_weights, is_affordable, log_loss, raise_last_weight

DISCOUNT_TOLERANCE = 0.001
TOLERANCE = 0.003
_DISCOUNTS = (6.0, 4.0, 2.0, 1.0)
"""With 4, unknown words count half in a tweet of which a quarter of the words are out of vocabulary."""
_HASHTAG_WEIGHT = 2.0
"""Hashtags are rare in the training rows and frequent in news and talk of brands."""
_LEXICON_BOOST = 8.0
"""In such a tweet the lexicon counts three times as much as in one without out-of-vocabulary words."""


class Blend(NamedTuple):
    """A model's config with fitted weights and calibration, and accuracy and log loss on the rows they were fitted on."""

    config: ModelConfig
    accuracy: float
    log_loss: float


def fit_blend(model: SentimentModel, texts: pl.Series, labels: np.ndarray) -> Blend:
    """Fit the weights of the parts and the calibration on held-back rows, for rows like these.

    Args:
        labels: 0 or 1, shape (rows,).
    """
    logits = _part_logits(model, texts, model.config)
    weights = fit_weights(logits, labels)
    if model.lexicon:
        weights[-1] = max(weights[-1], 0.0)
    return _blend(model, logits, labels, weights, model.config)


def fit_out_of_domain_blend(model: SentimentModel, texts: pl.Series, labels: np.ndarray) -> Blend:
    """Fit weights and calibration, then rely on the lexicon as far as the tolerances allow; without one as `fit_blend`."""
    if model.lexicon is None:
        return fit_blend(model, texts, labels)
    config = model.config.model_copy(
        update={"oov_discount": 0.0, "hashtag_weight": _HASHTAG_WEIGHT, "oov_lexicon_boost": _LEXICON_BOOST}
    )
    logits, weights, best = _fit(model, texts, labels, config)
    for discount in _DISCOUNTS:
        discounted = config.model_copy(update={"oov_discount": discount})
        discounted_logits, discounted_weights, calibrated = _fit(model, texts, labels, discounted)
        if is_affordable(calibrated, best, DISCOUNT_TOLERANCE):
            config, logits, weights = discounted, discounted_logits, discounted_weights
            break
    weights = raise_last_weight(logits, labels, weights, best, TOLERANCE)
    return _blend(model, logits, labels, weights, config)


def _fit(
    model: SentimentModel, texts: pl.Series, labels: np.ndarray, config: ModelConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Under a config: the parts' logits, (rows, parts), their best weights, (parts,), and calibrated logits, (rows,)."""
    logits = _part_logits(model, texts, config)
    weights = fit_weights(logits, labels)
    return logits, weights, fit_calibration(logits @ weights, labels)(logits @ weights)


def _columns(model: SentimentModel) -> list[int]:
    """The columns of `SentimentModel.part_logits` that the model has; the lexicon, if any, is the last."""
    has_part = (True, model.encoders is not None, model.custom is not None, model.lexicon is not None)
    return [column for column, has in enumerate(has_part) if has]


def _part_logits(model: SentimentModel, texts: pl.Series, config: ModelConfig) -> np.ndarray:
    return model.predict_part_logits(texts, config)[:, _columns(model)].astype(np.float64)


def _blend(
    model: SentimentModel, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, config: ModelConfig
) -> Blend:
    total = logits @ weights
    calibration = fit_calibration(total, labels)
    calibrated = calibration(total)
    part_weights = np.zeros(len(model.config.weights))
    part_weights[_columns(model)] = weights
    names = ("ngram_weight", "encoder_weight", "custom_weight", "lexicon_weight")
    update = {**dict(zip(names, part_weights.tolist(), strict=True)), "calibration": calibration}
    accuracy = float(np.mean((calibrated >= 0) == (labels == 1)))
    return Blend(config.model_copy(update=update), accuracy, log_loss(calibrated, labels))
