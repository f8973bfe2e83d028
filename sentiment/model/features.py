"""Hashed word n-grams of tweets, computed for whole batches and never stored.

A saved model must see the same features on every machine and library version, so everything here is arithmetic on the
hashes of words (`words`). A separator precedes the first word and follows the last, so n-grams see where a tweet begins and
ends, and an empty tweet has a feature too.

Costs about 0.9 microseconds a tweet on one core, words included, without the interpreter lock, so that threads help.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from .compilation import compiled
from .words import Words, hash_words

_SEPARATOR = np.uint64(0x5E9A4A7024C0FFEE)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_B = np.uint64(0xD6E8FEB86659FD93)
_MULTIPLIER_C = np.uint64(0xA0761D6478BD642F)
NGRAMS_PER_POSITION = 4


class FeatureConfig(BaseModel):
    """Everything that decides which features a text has; saved with the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokeniser: Literal["words-v2"] = "words-v2"
    hash: Literal["poly64-v1"] = "poly64-v1"
    ngram_bits: int = Field(default=24, ge=4, le=26, description="n-grams are hashed into 2**ngram_bits buckets")
    word_bits: int = Field(
        default=16, ge=4, le=20, description="words are hashed into 2**word_bits buckets of the vocabulary"
    )
    vector_bits: int = Field(
        default=16, ge=4, le=22, description="words are hashed into 2**vector_bits rows of each encoder"
    )
    pair_bits: int = Field(
        default=18, ge=4, le=22, description="two words in a row are hashed into 2**pair_bits rows of each encoder"
    )


class Features(NamedTuple):
    """What a model sees of a batch of texts. Each row has a separator and then its words: positions."""

    ngrams: np.ndarray
    """int32, shape (positions, 4), each below 2**ngram_bits: buckets of the n-grams of one, two and three words that begin
    at the position, and of the first and third of these words without the second."""
    words: np.ndarray
    """int32, shape (positions,), each below 2**word_bits: bucket of the word, for the vocabulary."""
    offsets: np.ndarray
    """int64, shape (rows + 1,): the positions of row i are those from `offsets[i]` to `offsets[i + 1]`; the first of them
    is its separator."""
    hashes: np.ndarray
    """uint64, shape (positions,): the word itself, for the lexicon."""
    is_shouted: np.ndarray
    """bool, shape (positions,): the word begins with two capitals."""
    exclamations: np.ndarray
    """int64, shape (rows,): exclamation marks of the text."""
    hashtags: np.ndarray
    """int64, shape (rows,): hashtags of the text."""

    def rows(self, first: int, last: int) -> Features:
        """The features of rows `first` to `last`, without a copy of the large arrays."""
        begin, end = self.offsets[first], self.offsets[last]
        return Features(
            ngrams=self.ngrams[begin:end],
            words=self.words[begin:end],
            offsets=self.offsets[first : last + 1] - begin,
            hashes=self.hashes[begin:end],
            is_shouted=self.is_shouted[begin:end],
            exclamations=self.exclamations[first:last],
            hashtags=self.hashtags[first:last],
        )


def extract(texts: pl.Series, config: FeatureConfig) -> Features:
    """Hash the words and n-grams of every text into buckets.

    Args:
        texts: String, shape (rows,), without nulls.
    """
    words = hash_words(texts)
    count_rows = len(words.ends)
    count_positions = len(words.hashes) + count_rows
    features = Features(
        ngrams=np.empty((count_positions, NGRAMS_PER_POSITION), dtype=np.int32),
        words=np.empty(count_positions, dtype=np.int32),
        offsets=np.zeros(count_rows + 1, dtype=np.int64),
        hashes=np.empty(count_positions, dtype=np.uint64),
        is_shouted=np.empty(count_positions, dtype=bool),
        exclamations=words.exclamations,
        hashtags=words.hashtags,
    )
    _write_features(words, features, np.uint64(64 - config.ngram_bits), np.uint64(64 - config.word_bits))
    return features


@compiled
def _write_features(words: Words, features: Features, ngram_shift: np.uint64, word_shift: np.uint64) -> None:
    """Write all but what `Words` holds for each row; a bucket is the upper bits of a hash."""
    hashes, ngrams, first, start = features.hashes, features.ngrams, 0, 0
    for row in range(len(words.ends)):
        last = words.ends[row]
        end = start + 1 + last - first
        hashes[start], features.is_shouted[start] = _SEPARATOR, False
        for place in range(first, last):
            position = start + 1 + place - first
            hashes[position], features.is_shouted[position] = words.hashes[place], words.is_shouted[place]
        for position in range(start, end):
            second = hashes[position + 1] if position + 1 < end else _SEPARATOR
            third = hashes[position + 2] if position + 2 < end else _SEPARATOR
            one = hashes[position] * MULTIPLIER
            two = (one * _MULTIPLIER_B + second) * MULTIPLIER
            ngrams[position, 0] = one >> ngram_shift
            ngrams[position, 1] = two >> ngram_shift
            ngrams[position, 2] = ((two * _MULTIPLIER_B + third) * MULTIPLIER) >> ngram_shift
            ngrams[position, 3] = ((one * _MULTIPLIER_C + third) * MULTIPLIER) >> ngram_shift
            features.words[position] = one >> word_shift
        first, start = last, end
        features.offsets[row + 1] = end


def word_buckets(hashes: np.ndarray, bits: int, number: int = 0) -> np.ndarray:
    """The buckets of words by the hash function of this number: uint64 hashes to int32 below 2**bits, shape kept."""
    multiplier = np.uint64(pow(int(MULTIPLIER), number + 1, 1 << 64))
    buckets: np.ndarray = ((hashes * multiplier) >> np.uint64(64 - bits)).astype(np.int32)
    return buckets
