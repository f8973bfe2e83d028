"""How far each part of a model is trusted: at home, on rows like the training rows, and away from home.

What the labels of the training rows say of the parts is fitted. But tweets that arrive later are about other things, and
these rows cannot show what that changes: all that was learnt about topics of their time is true of them. So two things
are known that no fit on them can find. Words that the lexicon does not know, topics most of them, count for less
elsewhere, and the lexicon counts for more; both the more, the stranger a tweet is to the training rows
(`SentimentModel.heed`), since tweets from elsewhere are strange more often, and strange ones cost little at home. How much
is anybody's guess, hence the rule: as far as it costs little at home, a fraction of a point. Topics fade unless that alone
costs `TOPIC_TOLERANCE` of accuracy, then the lexicon is raised until both cost `TOLERANCE`.

No tweet of another source has a say in it. Costs a second or two after training, for scoring the held-back rows twice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from sentiment.model.classifier import SentimentModel
from sentiment.model.config import Bend, ModelConfig
from sentiment.training.calibration import cost_of_decisions, fit_bend, fit_weights, log_loss, raise_last_weight

TOPIC_TOLERANCE = 0.003
TOLERANCE = 0.0045
_TOPIC_FADES = (6.0, 4.0, 2.0, 1.0)
"""With 4, words that are not known count half in a tweet in which a quarter of the words are strange."""
_HASHTAG_WEIGHT = 2.0
"""Hashtags are rare in the training rows and frequent in news and talk of brands: each makes a tweet stranger."""
_LEXICON_LIFT = 8.0
"""In such a tweet the lexicon counts three times as much as in one without strange words."""


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
    logits = _logits(model, texts, model.config)
    weights = fit_weights(logits, labels)
    if model.lexicon:
        weights[-1] = max(weights[-1], 0.0)
    return _weighed(model, logits, labels, weights, model.config)


def weigh_for_elsewhere(model: SentimentModel, texts: pl.Series, labels: np.ndarray) -> Weighed:
    """Fit the weights of the parts and the bend, and lean as far towards what is known of words beside the training rows as
    the tolerances allow; without a lexicon the same as `weigh`."""
    if model.lexicon is None:
        return weigh(model, texts, labels)
    config = model.config.model_copy(
        update={"topic_fade": 0.0, "hashtag_weight": _HASHTAG_WEIGHT, "lexicon_lift": _LEXICON_LIFT}
    )
    logits, weights, best = _fit(model, texts, labels, config)
    for fade in _TOPIC_FADES:
        faded = config.model_copy(update={"topic_fade": fade})
        faded_logits, faded_weights, bent = _fit(model, texts, labels, faded)
        if cost_of_decisions(bent, best) <= TOPIC_TOLERANCE:
            config, logits, weights = faded, faded_logits, faded_weights
            break
    weights = raise_last_weight(logits, labels, weights, best, TOLERANCE)
    return _weighed(model, logits, labels, weights, config)


def _fit(
    model: SentimentModel, texts: pl.Series, labels: np.ndarray, config: ModelConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Under a config: the parts' logits, (rows, parts), their best weights, (parts,), and the bent logits, (rows,)."""
    logits = _logits(model, texts, config)
    weights = fit_weights(logits, labels)
    return logits, weights, fit_bend(logits @ weights, labels)(logits @ weights)


def _parts(model: SentimentModel) -> list[int]:
    """The columns of `SentimentModel.logits` that the model has; the lexicon, if any, is the last."""
    return [0, *([1] if model.encoders is not None else []), *([2] if model.lexicon else [])]


def _logits(model: SentimentModel, texts: pl.Series, config: ModelConfig) -> np.ndarray:
    settled = model.config
    try:
        model.config = config
        return model.logits(texts)[:, _parts(model)].astype(np.float64)
    finally:
        model.config = settled


def _weighed(
    model: SentimentModel, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, config: ModelConfig
) -> Weighed:
    total = logits @ weights
    bend: Bend = fit_bend(total, labels)
    bent = bend(total)
    of_part = np.zeros(3)
    of_part[_parts(model)] = weights
    names = ("ngram_weight", "encoder_weight", "lexicon_weight")
    update = {**dict(zip(names, of_part.tolist(), strict=True)), "bend": bend}
    accuracy = float(np.mean((bent >= 0) == (labels == 1)))
    return Weighed(config.model_copy(update=update), accuracy, log_loss(bent, labels))
