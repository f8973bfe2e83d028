"""How far each part of a model is trusted: at home, on rows like the training rows, and away from home.

What the labels of the training rows say of the parts is fitted. But tweets that arrive later are about other things, and
these rows cannot show what that changes: all that was learnt about topics of their time is true of them. So two things
are known that no fit on them can find. Words that the lexicon does not know, topics most of them, count for less
elsewhere; and the lexicon counts for more. How much is anybody's guess, hence the rule: as far as it costs (almost)
nothing at home. First the other words are held down until that costs `TOPIC_TOLERANCE` of accuracy, then the lexicon is
raised until both cost `TOLERANCE`.

No tweet of another source has a say in it. Costs some seconds after training: the held-back rows are scored once for each
step of the topic weight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from sentiment.calibration import cost_of_decisions, fit_bend, fit_weights, log_loss, raise_last_weight
from sentiment.model import Bend, ModelConfig, SentimentModel

TOPIC_TOLERANCE = 0.001
TOLERANCE = 0.0025
_TOPIC_WEIGHTS = (0.9, 0.8, 0.7, 0.6, 0.5)
"""Below a half the words that the lexicon does not know would hardly count."""


class Weighed(NamedTuple):
    """A model's config with weights and bend, and accuracy and log loss on the rows that these were fitted on."""

    config: ModelConfig
    accuracy: float
    log_loss: float


def weigh(model: SentimentModel, texts: pl.Series, labels: np.ndarray) -> Weighed:
    """Fit the weights of the parts and the bend on held-back rows, so that they fit these best.

    Args:
        labels: 0 or 1, shape (rows,).
    """
    logits = _logits(model, texts, model.config.topic_weight)
    weights = fit_weights(logits, labels)
    if model.lexicon:
        weights[-1] = max(weights[-1], 0.0)
    return _weighed(model, logits, labels, weights, model.config.topic_weight)


def weigh_for_elsewhere(model: SentimentModel, texts: pl.Series, labels: np.ndarray) -> Weighed:
    """Fit the weights of the parts and the bend, and lean as far towards what is known of words beside the training rows as
    the tolerances allow; without a lexicon the same as `weigh`."""
    if model.lexicon is None:
        return weigh(model, texts, labels)
    topic_weight, logits = 1.0, _logits(model, texts, 1.0)
    weights = fit_weights(logits, labels)
    best = fit_bend(logits @ weights, labels)(logits @ weights)
    for lower in _TOPIC_WEIGHTS:
        lower_logits = _logits(model, texts, lower)
        lower_weights = fit_weights(lower_logits, labels)
        bent = fit_bend(lower_logits @ lower_weights, labels)(lower_logits @ lower_weights)
        if cost_of_decisions(bent, best) > TOPIC_TOLERANCE:
            break
        topic_weight, logits, weights = lower, lower_logits, lower_weights
    weights = raise_last_weight(logits, labels, weights, best, TOLERANCE)
    return _weighed(model, logits, labels, weights, topic_weight)


def _parts(model: SentimentModel) -> list[int]:
    """The columns of `SentimentModel.logits` that the model has; the lexicon, if any, is the last."""
    return [0, *([1] if model.encoder else []), *([2] if model.lexicon else [])]


def _logits(model: SentimentModel, texts: pl.Series, topic_weight: float) -> np.ndarray:
    settled = model.config
    try:
        model.config = settled.model_copy(update={"topic_weight": topic_weight})
        return model.logits(texts)[:, _parts(model)].astype(np.float64)
    finally:
        model.config = settled


def _weighed(
    model: SentimentModel, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, topic_weight: float
) -> Weighed:
    total = logits @ weights
    bend: Bend = fit_bend(total, labels)
    bent = bend(total)
    of_part = np.zeros(3)
    of_part[_parts(model)] = weights
    names = ("ngram_weight", "encoder_weight", "lexicon_weight")
    update = {**dict(zip(names, of_part.tolist(), strict=True)), "topic_weight": topic_weight, "bend": bend}
    accuracy = float(np.mean((bent >= 0) == (labels == 1)))
    return Weighed(model.config.model_copy(update=update), accuracy, log_loss(bent, labels))
