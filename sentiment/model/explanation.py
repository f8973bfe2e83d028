"""Which words pushed a prediction which way: exact for the n-grams and the lexicon, by occlusion for the encoder.

N-grams and lexicon are sums, so what a word adds is exact: the value of an n-gram is shared equally by its words, the
lexicon's score in the ratio of the words' values. The encoder is no sum: a word's contribution is what the logit
loses when the word's vector is removed. What the words do only jointly is left over and reported as such. All rows of an
explanation, calibration included, add up to the logit whose logistic function is the probability.

An explanation costs one pass of the encoder for each word: a millisecond for a tweet.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from .batch import Batch
from .classifier import SentimentModel, as_series, one_torch_thread
from .lexicon import Reading
from .neutral import Prediction
from .words import read_words

_MEMBERS = ((0,), (0, 1), (0, 1, 2), (0, 2))
"""Of each kind of n-gram: its words, as distances from the position where it begins."""
_MOST_WORDS = 1_000
_ROWS_AT_ONCE = 64


class Contribution(NamedTuple):
    """What a word pushed, in logits: above zero towards positive."""

    token: str
    """The word as the model reads it: small letters, without apostrophes, an emoticon as its emoji, a run of one
    punctuation mark."""
    ngrams: float
    encoder: float
    """By the encoders and a user's own module."""
    lexicon: float

    @property
    def total(self) -> float:
        """What it pushed in all."""
        return self.ngrams + self.encoder + self.lexicon


@dataclass(frozen=True)
class Explanation:
    """A prediction and its parts; the words' totals, `every_tweet`, `together` and `calibration` add up to `logit`."""

    probability_positive: float
    probability_neutral: float
    evidence: float
    """How much mood the text shows, on either side; neutral below the model's threshold."""
    logit: float
    words: list[Contribution]
    every_tweet: float
    """What the n-grams say of a tweet before its first word."""
    together: float
    """What the encoder sees in the words jointly, beyond each by itself, and in a tweet without words."""
    calibration: float
    """What calibration adds; it never changes the order of tweets."""

    def label(self, count_labels: Literal[2, 3] = 3) -> str:
        """`negative`, `neutral` or `positive`; with two labels never neutral."""
        prediction = Prediction(np.array([self.probability_positive]), np.array([self.probability_neutral]))
        return str(prediction.labels(count_labels)[0])


def explain(model: SentimentModel, text: str) -> list[tuple[str, float]]:
    """The words of a text in reading order, and what each pushed the logit by; see `explain_in_full`."""
    return [(word.token, word.total) for word in explain_in_full(model, text).words]


@torch.inference_mode()
def explain_in_full(model: SentimentModel, text: str) -> Explanation:
    """Explain a prediction. Of a text of more than 1,000 words the first ones are named; the others, and all that the
    encoder says of such a text, are in `together`."""
    texts = as_series([text])
    batch = model.batch(texts)
    tokens = read_words(texts[0])[:_MOST_WORDS]
    ngram_weight, encoder_weight, custom_weight, _ = model.config.weights.tolist()
    reading = None if model.lexicon is None else model.lexicon.read(batch.features)
    with one_torch_thread():
        weights = None if reading is None else model.word_weights(batch, reading, model.config)
        encoder_weights = torch.ones(len(batch.words), device=model.device) if weights is None else weights.encoder
        total = float(model.part_logits(batch)[0].cpu().numpy() @ model.config.weights)
        contributions = model.ngrams.contributions(batch, None if weights is None else weights.ngrams)
        ngrams = ngram_weight * _share_ngrams(contributions.cpu().numpy())
        encoder = encoder_weight * _occlude(model, batch, encoder_weights, len(tokens))
        encoder += custom_weight * _occlude_text(model, texts[0], tokens)
    lexicon = np.zeros(len(batch.words))
    if reading is not None and weights is not None:
        lexicon_weight = model.config.lexicon_weight * float(weights.lexicon[0])
        lexicon = lexicon_weight * _lexicon_contributions(reading, tokens, len(lexicon))
    words = [
        Contribution(token, float(ngrams[place]), float(encoder[place - 1]), float(lexicon[place]))
        for place, token in enumerate(tokens, start=1)
    ]
    every_tweet = float(ngrams[0])
    logit = float(model.config.calibration(np.array([total]))[0])
    prediction = model.predict([text])
    return Explanation(
        probability_positive=float(prediction.probability_positive[0]),
        probability_neutral=float(prediction.probability_neutral[0]),
        evidence=float(model.logits_and_evidence([text])[1][0]),
        logit=logit,
        words=words,
        every_tweet=every_tweet,
        together=total - every_tweet - sum(word.total for word in words),
        calibration=logit - total,
    )


def _lexicon_contributions(reading: Reading, tokens: list[str], count: int) -> np.ndarray:
    """What each of the positions of one text adds to the lexicon's score: float64, shape (count,)."""
    contributions = np.zeros(count)
    contributions[reading.positions] = reading.contributions
    marks = [place for place, token in enumerate(tokens, start=1) if token.startswith("!")]
    contributions[marks] += float(reading.exclamations[0]) / max(len(marks), 1)
    return contributions


def _share_ngrams(values: np.ndarray) -> np.ndarray:
    """What each position of one text gets of its n-grams' values, in equal shares: (positions, 4) to (positions,).

    Separators get nothing where there is a word to get it.
    """
    begins = np.arange(len(values))
    shares = np.zeros(len(values))
    for kind, steps in enumerate(_MEMBERS):
        members = begins[:, None] + np.array(steps)
        is_word = (members > 0) & (members < len(values))
        is_word[:, 0] |= ~is_word.any(axis=1)
        share = values[:, kind].astype(np.float64) / is_word.sum(axis=1)
        shares += np.bincount(members[is_word], weights=np.repeat(share, is_word.sum(axis=1)), minlength=len(values))
    return shares


def _occlude_text(model: SentimentModel, text: str, tokens: list[str]) -> np.ndarray:
    """What a custom module's logit loses without each word of a text: float64, shape (tokens,).

    Words are removed as they are written, between blanks; the tokens of one such word share its loss equally.
    """
    if model.custom is None:
        return np.zeros(len(tokens))
    words = text.split()
    found = [read_words(word) for word in words]
    if list(chain.from_iterable(found))[:_MOST_WORDS] != tokens or len(tokens) == _MOST_WORDS:
        return np.zeros(len(tokens))  # What is written across blanks cannot be taken apart: all is in `together`.
    texts = [text, *(" ".join(words[:place] + words[place + 1 :]) for place in range(len(words)))]
    whole, *without = model.custom(model.batch(pl.Series(texts, dtype=pl.String))).tolist()
    shares = [(whole - logit) / max(len(inside), 1) for logit, inside in zip(without, found, strict=True)]
    return np.repeat(np.array(shares, dtype=np.float64), [len(inside) for inside in found])


def _occlude(model: SentimentModel, batch: Batch, token_weights: Tensor, count: int) -> np.ndarray:
    """What the encoder's logit loses without each of the first `count` words: float64, shape (count,)."""
    positions = len(batch.words)
    if model.encoders is None or count == 0 or positions > _MOST_WORDS + 1:
        return np.zeros(count)
    whole = float(model.encoders(batch, token_weights)[0])
    lost = np.zeros(count)
    for first in range(1, count + 1, _ROWS_AT_ONCE):
        places = np.arange(first, min(first + _ROWS_AT_ONCE, count + 1))
        times = len(places)
        weights = token_weights.repeat(times, 1)
        weights[np.arange(times), places] = 0
        features = batch.features
        copies = features._replace(
            words=np.tile(features.words, times),
            hashes=np.tile(features.hashes, times),
            ngrams=np.tile(features.ngrams, (times, 1)),
            offsets=np.arange(times + 1) * positions,
        )
        lost[places - 1] = whole - model.encoders(Batch.of(copies, model.device), weights.ravel()).cpu().numpy()
    return lost
