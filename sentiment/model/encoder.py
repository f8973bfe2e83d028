"""The sequence encoders beside the n-grams: small gated memories over the words of a tweet.

Several read beside each other and their logits are averaged. Each has vectors and a hash of words of its own, so words that
share a bucket in one are told apart by the others, and each learns the noise of the labels in its own way: averaged, they
are better than each alone.

What a batch needs to be scored, training needs too, so both walk the same way (`Encoder.walk`); `learners` goes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np
import torch

from .config import EncoderConfig
from .features import FeatureConfig, Features, pair_buckets, word_buckets
from .kernels import embed, pool, remember

_MOST_POSITIONS = 256
_BLOCK_ROWS = 128
"""So many rows are walked at once: their numbers stay near the processor."""


class Layer(NamedTuple):
    """What a layer made of a batch: float32, shape (positions, 2 * width) for inputs and (positions, width) for all else."""

    inputs: np.ndarray
    gates: np.ndarray
    memory: np.ndarray
    states: torch.Tensor
    """Memories of this layer and those before, added up."""


class Walk(NamedTuple):
    """All layers of a batch, and what they come to."""

    layers: list[Layer]
    pooled: np.ndarray
    """float32, shape (rows, 2 * width): maximum and scaled sum over each row's positions."""
    places: np.ndarray
    """int64, shape (rows, width): where the maximum stands."""


class Encoder(torch.nn.Module):
    """One small gated memory: what a bag of n-grams cannot say, such as a word's reach.

    The first layer's inputs need no matrix product: each word has three vectors, for the word before, here and after, each
    pair of words has one, and a position adds up what its words and the pair that begins there say of it. A product of
    embedding and filter would say less and cost more, in training and in scoring. A layer keeps at each position a part of the
    state before and takes in new values, by gates that depend on the inputs alone (SRU, Lei et al. 2018; minGRU, Feng et al.
    2024), so that walking along a tweet costs two operations a number; half of the numbers walk backwards. Further layers are
    added to the ones before. Maximum and scaled sum over positions give the logit.

    A batch is one flat sequence, in which each row begins with a separator that stays zero through all layers: a row's value
    does not depend on its neighbours. Matrix products are torch's, all else is in compiled loops (`kernels`).
    """

    def __init__(self, config: EncoderConfig, features: FeatureConfig, number: int = 0) -> None:
        super().__init__()
        self.config, self.features, self.number = config, features, number
        width = config.width
        self.words = torch.nn.Parameter(torch.zeros(1 << features.vector_bits, 6 * width), requires_grad=False)
        self.pairs = torch.nn.Parameter(torch.zeros(1 << features.pair_bits, 2 * width), requires_grad=False)
        self.bias = torch.nn.Parameter(torch.zeros(2 * width))
        self.layers = torch.nn.ModuleList(torch.nn.Linear(width, 2 * width) for _ in range(config.layers - 1))
        self.output = torch.nn.Linear(2 * width, 1)

    def rows(self, features: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows of `words` and of `pairs` of each position, int32, shape (positions,), and the offsets, (rows + 1,); of
        the first positions of each text, see `shorten`."""
        words = word_buckets(features.hashes, self.features.vector_bits, self.number)
        pairs = pair_buckets(features, self.features.pair_bits, self.number)
        words, offsets = shorten(words, features.offsets)
        return words, shorten(pairs, features.offsets)[0], offsets

    def walk(
        self,
        words: np.ndarray,
        pairs: np.ndarray,
        offsets: np.ndarray,
        weights: np.ndarray,
        table: np.ndarray | None = None,
    ) -> Walk:
        """Every layer of a batch, from the first; nothing of it is for autograd.

        Args:
            words, pairs: int32, shape (positions,): rows of the tables.
            offsets: int64, shape (rows + 1,), as in `Features`.
            weights: float32, shape (positions,): how far each word counts.
            table: in place of the encoder's own vectors of words: float32, shape (any, 6 * width).
        """
        width, count = self.config.width, len(words)
        inputs = _empty(count, 2 * width)
        vectors = self.words.data.numpy() if table is None else table
        embed(vectors, self.pairs.data.numpy(), words, pairs, offsets, weights, self.bias.data.numpy(), inputs)
        layers: list[Layer] = []
        with torch.no_grad():
            for following in [*self.layers, None]:
                gates, memory = _empty(count, width), _empty(count, width)
                remember(inputs, offsets, gates, memory)
                states = torch.from_numpy(memory)
                layers.append(Layer(inputs, gates, memory, layers[-1].states + states if layers else states))
                if following is not None:
                    inputs = following(layers[-1].states).numpy()
        count_rows = len(offsets) - 1
        pooled, places = _empty(count_rows, 2 * width), np.empty((count_rows, width), dtype=np.int64)
        pool(layers[-1].states.numpy(), offsets, pooled, places)
        return Walk(layers, pooled, places)


class Encoders(torch.nn.ModuleList):
    """The encoders of a model, which score together."""

    def __init__(self, config: EncoderConfig, features: FeatureConfig) -> None:
        super().__init__(Encoder(config, features, number) for number in range(config.count))

    def __iter__(self) -> Iterator[Encoder]:
        """One after the other."""
        return cast(Iterator[Encoder], super().__iter__())

    def logits(self, features: Features, weights: np.ndarray | None = None) -> np.ndarray:
        """The mean of the encoders' logits: float32, shape (rows,).

        Args:
            weights: float32, shape (positions,): how far each word counts; fully unless given.
        """
        count_rows = len(features.offsets) - 1
        logits = np.zeros(count_rows, dtype=np.float32)
        if weights is None:
            weights = np.ones(len(features.hashes), dtype=np.float32)
        weights, _ = shorten(weights, features.offsets)
        for encoder in self:
            words, pairs, offsets = encoder.rows(features)
            for rows, positions, block_offsets in in_blocks(offsets):
                walk = encoder.walk(words[positions], pairs[positions], block_offsets, weights[positions])
                logits[rows] += _output(encoder, walk)
        return logits / np.float32(len(self))


@torch.no_grad()
def _output(encoder: Encoder, walk: Walk) -> np.ndarray:
    logits: np.ndarray = encoder.output(torch.from_numpy(walk.pooled)).squeeze(1).numpy()
    return logits


def shorten(values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values, (positions,), and offsets of the first `_MOST_POSITIONS` positions of each row, so that one endless text costs
    little."""
    lengths = np.diff(offsets)
    if lengths.max(initial=0) <= _MOST_POSITIONS:
        return values, offsets
    places = np.arange(len(values)) - np.repeat(offsets[:-1], lengths)
    shorter = np.concatenate([[0], np.cumsum(np.minimum(lengths, _MOST_POSITIONS))])
    return values[places < _MOST_POSITIONS], shorter


def in_blocks(offsets: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Cut a batch into blocks of a few rows: the rows, their positions, and their offsets within the block."""
    for first in range(0, len(offsets) - 1, _BLOCK_ROWS):
        last = min(first + _BLOCK_ROWS, len(offsets) - 1)
        begin, end = offsets[first], offsets[last]
        yield slice(first, last), slice(begin, end), offsets[first : last + 1] - begin


def _empty(rows: int, columns: int) -> np.ndarray:
    return np.empty((rows, columns), dtype=np.float32)
