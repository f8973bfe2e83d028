"""How much each word of a text counts in each part of a model with a lexicon.

Two things decide. The out-of-vocabulary rate of a text is the share of its words that are neither in the lexicon nor frequent
in the training rows; a hashtag, rare in personal tweets and frequent in news and talk of brands, counts as `hashtag_weight`
such words. The higher the rate, the less the text is like the training rows, and the less what they taught applies to it. And
the lexicon's rules change what was learnt of words as they change the lexicon's own values.

Works in main memory on any device, as the lexicon does: one compiled pass, 0.1 microseconds a tweet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .compilation import compiled
from .composition import NEGATED
from .config import ModelConfig
from .features import Features
from .lexicon import Reading

_SYMBOL_BOOST = np.float32(3.0)
"""How much more the lexicon counts in a text with emoticons or emoji: training rows are labelled by them and hold none."""
_FEWEST_WORDS = 5
"""A hashtag in a text of fewer words does not raise its out-of-vocabulary rate further."""
_ENCODER_NEGATED = np.float32(0.5)
"""Encoders have seen negations and contrasts themselves, so the rules count half."""
_ZERO, _ONE = np.float32(0), np.float32(1)


class WordWeights(NamedTuple):
    """How much the words of a batch count in each part of a model with a lexicon."""

    ngrams: Tensor
    """float32, shape (positions, 4)."""
    encoder: Tensor
    """float32, shape (positions,): 1 where the lexicon knows the word."""
    lexicon: Tensor
    """float32, shape (rows,): of the lexicon's score."""


class _Dials(NamedTuple):
    """The three numbers of a `ModelConfig` that count here."""

    oov_discount: np.float32
    hashtag_weight: np.float32
    oov_lexicon_boost: np.float32


class _Arrays(NamedTuple):
    """`WordWeights` as numpy arrays."""

    ngrams: np.ndarray
    encoder: np.ndarray
    lexicon: np.ndarray


def weigh_words(features: Features, reading: Reading, in_vocabulary: np.ndarray, config: ModelConfig) -> WordWeights:
    """Weigh the words of a batch.

    Args:
        in_vocabulary: bool, shape (2**word_bits,): whether the bucket's words were frequent in the training rows.
        config: its `oov_discount`, `hashtag_weight`, `oov_lexicon_boost` and, for which rules apply, `lexicon`.
    """
    positions, rows = len(features.hashes), len(features.offsets) - 1
    arrays = _Arrays(
        ngrams=np.empty((positions, 4), dtype=np.float32),
        encoder=np.empty(positions, dtype=np.float32),
        lexicon=np.empty(rows, dtype=np.float32),
    )
    dials = _Dials(
        *(np.float32(value) for value in (config.oov_discount, config.hashtag_weight, config.oov_lexicon_boost))
    )
    _discount(features, reading.is_known, in_vocabulary, dials, arrays)
    if config.lexicon is not None and config.lexicon.rules != "valence-v1":
        _apply_rules(reading, reading.positions[reading.is_negated], arrays)
        _ignore(features.offsets, reading, reading.learnt.copy(), arrays)
        _boost_symbols(features.offsets, reading.symbols, arrays.lexicon)
    return WordWeights(*(torch.from_numpy(array) for array in arrays))


@compiled
def _discount(
    features: Features, is_known: np.ndarray, in_vocabulary: np.ndarray, dials: _Dials, weights: _Arrays
) -> None:
    """Words by the out-of-vocabulary rate of their row; an n-gram counts as its strongest word does."""
    tokens = weights.encoder
    for row in range(len(features.offsets) - 1):
        first, end = features.offsets[row], features.offsets[row + 1]
        unknown, words = 0, end - first - 1
        for position in range(first + 1, end):
            unknown += not (is_known[position] or in_vocabulary[features.words[position]])
        rate = np.float32(unknown) / np.float32(max(words, 1))
        rate += dials.hashtag_weight * np.float32(features.hashtags[row]) / np.float32(max(words, _FEWEST_WORDS))
        weights.lexicon[row] = _ONE + dials.oov_lexicon_boost * rate
        discount = _ONE / (_ONE + dials.oov_discount * rate)
        for position in range(first, end):
            tokens[position] = _ONE if is_known[position] else discount
        for position in range(first, end):
            own = tokens[position]
            second = tokens[position + 1] if position + 1 < end else _ZERO
            third = tokens[position + 2] if position + 2 < end else _ZERO
            weights.ngrams[position, 0] = own
            weights.ngrams[position, 1] = max(own, second)
            weights.ngrams[position, 2] = max(own, second, third)
            weights.ngrams[position, 3] = max(own, third)


@compiled
def _apply_rules(reading: Reading, negated: np.ndarray, weights: _Arrays) -> None:
    """A negated word means the opposite; the lesser side of a contrast counts less."""
    for position in range(len(reading.clause_weights)):
        clause = reading.clause_weights[position]
        if clause != _ONE:
            weights.encoder[position] *= np.sqrt(clause)
            for kind in range(4):
                weights.ngrams[position, kind] *= clause
    for position in negated:
        weights.encoder[position] *= _ENCODER_NEGATED
        for kind in range(4):
            weights.ngrams[position, kind] *= NEGATED


@compiled
def _ignore(offsets: np.ndarray, reading: Reading, learnt: np.ndarray, weights: _Arrays) -> None:
    """Words of which less counts than what was learnt; an n-gram counts as the least of its words.

    Exclamation marks were learnt in good news, but make bad news worse. Encoders have seen them with the words around, so it is
    n-grams that do not count them there.
    """
    changed = np.flatnonzero(learnt != _ONE)
    for position in changed:
        weights.encoder[position] *= learnt[position]
    for position in reading.exclamations_against:
        learnt[position] = _ZERO
    _ignore_ngrams(offsets, learnt, weights.ngrams)


@compiled
def _ignore_ngrams(offsets: np.ndarray, learnt: np.ndarray, ngrams: np.ndarray) -> None:
    for row in range(len(offsets) - 1):
        undone, end = offsets[row], offsets[row + 1]
        for position in range(undone, end):
            if learnt[position] == _ONE:
                continue
            for first in range(max(undone, position - 2), position + 1):
                own = learnt[first]
                second = learnt[first + 1] if first + 1 < end else _ONE
                third = learnt[first + 2] if first + 2 < end else _ONE
                ngrams[first, 0] *= own
                ngrams[first, 1] *= min(own, second)
                ngrams[first, 2] *= min(own, second, third)
                ngrams[first, 3] *= min(own, third)
            undone = position + 1


@compiled
def _boost_symbols(offsets: np.ndarray, symbols: np.ndarray, lexicon: np.ndarray) -> None:
    boosted = -1
    for position in symbols:
        row = np.searchsorted(offsets, position, side="right") - 1
        if row != boosted:
            lexicon[row] *= _SYMBOL_BOOST
        boosted = row
