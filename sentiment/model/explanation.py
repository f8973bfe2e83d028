"""Which words pushed a prediction which way: exact for the n-grams and the lexicon, by occlusion for the encoder.

N-grams and lexicon are sums, so what a word adds is a fact: the value of an n-gram is shared equally by its words, the
lexicon's score in the ratio of the words' values. The encoder is no sum. For it a word's contribution is what the logit
loses when the word's vector is taken away; what the words do only together is left over and shown as such. All rows of an
explanation, with the calibration at the end, add up to the logit whose logistic function is the probability.

An explanation costs one pass of the encoder for each word: a millisecond for a tweet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from .classifier import Heed, SentimentModel, as_series, one_torch_thread
from .features import Features, extract, read_words
from .neutral import Prediction

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
    lexicon: float

    @property
    def total(self) -> float:
        """What it pushed in all."""
        return self.ngrams + self.encoder + self.lexicon


@dataclass(frozen=True)
class Explanation:
    """A prediction and what it is made of; the words' totals, `every_tweet`, `together` and `calibration` add up to
    `logit`."""

    probability_positive: float
    probability_neutral: float
    evidence: float
    """How much mood the text shows, whatever side it is on; neutral below the model's threshold."""
    logit: float
    words: list[Contribution]
    every_tweet: float
    """What the n-grams say of a tweet before its first word."""
    together: float
    """What the encoder sees in the words together, beyond each by itself, and in a tweet without words."""
    calibration: float
    """What makes the probability mean what it says; never turns the order of tweets round."""

    def label(self, count_labels: Literal[2, 3] = 3) -> str:
        """`negative`, `neutral` or `positive`; with two labels never neutral."""
        prediction = Prediction(np.array([self.probability_positive]), np.array([self.probability_neutral]))
        return str(prediction.labels(count_labels)[0])


def explain(model: SentimentModel, text: str) -> list[tuple[str, float]]:
    """The words of a text in reading order, and what each pushed the logit by; see `explain_in_full`."""
    return [(word.token, word.total) for word in explain_in_full(model, text).words]


def explain_in_full(model: SentimentModel, text: str) -> Explanation:
    """Explain a prediction. Of a text of more than 1,000 words the first ones are named, the others and all that the
    encoder says make up `together`."""
    text = as_series([text])[0]
    features = extract(as_series([text]), model.config.features)
    tokens = read_words(text)[:_MOST_WORDS]
    count = len(tokens)
    ngram_weight, encoder_weight, lexicon_weight = model.config.weights.tolist()
    heed = model.heed(features)
    ngrams = ngram_weight * _share_ngrams(model.ngram_values(features, heed))
    lexicon = np.zeros(len(features.words))
    if heed:
        reading, lexicon_weight = heed.reading, lexicon_weight * float(heed.lexicon_weights[0])
        lexicon[reading.positions] = lexicon_weight * reading.contributions
        marks = [place for place, token in enumerate(tokens, start=1) if token.startswith("!")]
        lexicon[marks] += lexicon_weight * float(reading.exclamations[0]) / max(len(marks), 1)
    with one_torch_thread():
        total = float(model.part_logits(features)[0] @ model.config.weights)
        encoder = encoder_weight * _occlude(model, features, heed, count)
    words = [
        Contribution(token, float(ngrams[place]), float(encoder[place - 1]), float(lexicon[place]))
        for place, token in enumerate(tokens, start=1)
    ]
    every_tweet = float(ngrams[0])
    bent = float(model.config.bend(np.array([total]))[0])
    prediction = model.predict([text])
    return Explanation(
        probability_positive=float(prediction.probability_positive[0]),
        probability_neutral=float(prediction.probability_neutral[0]),
        evidence=float(model.bent_logits_and_evidence([text])[1][0]),
        logit=bent,
        words=words,
        every_tweet=every_tweet,
        together=total - every_tweet - sum(word.total for word in words),
        calibration=bent - total,
    )


def _share_ngrams(values: np.ndarray) -> np.ndarray:
    """What each position of one text gets of its n-grams' values, in equal shares: (positions, 4) to (positions,).

    Separators get nothing where there is a word to have it.
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


def _occlude(model: SentimentModel, features: Features, heed: Heed | None, count: int) -> np.ndarray:
    """What the encoder's logit loses without each of the first `count` words: shape (count,)."""
    positions = len(features.words)
    if model.encoders is None or count == 0 or positions > _MOST_WORDS + 1:
        return np.zeros(count)
    weights = np.ones(positions, dtype=np.float32) if heed is None else heed.encoder_weights
    whole = model.encoders.logits(features, weights)[0]
    lost = np.zeros(count)
    for first in range(1, count + 1, _ROWS_AT_ONCE):
        places = np.arange(first, min(first + _ROWS_AT_ONCE, count + 1))
        times = len(places)
        repeated = np.tile(weights, (times, 1))
        repeated[np.arange(times), places] = 0
        copies = features._replace(
            hashes=np.tile(features.hashes, times),
            ngrams=np.tile(features.ngrams, (times, 1)),
            offsets=np.arange(times + 1) * positions,
        )
        lost[places - 1] = whole - model.encoders.logits(copies, repeated.ravel())
    return lost
