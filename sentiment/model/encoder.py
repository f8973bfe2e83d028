"""Small sequence encoders, which learn what a bag of n-grams cannot express, such as the reach of a word.

Several encoders read a text independently and their logits are averaged. Each has vectors and a word hash of its own, so
words that share a bucket in one are told apart by the others, and each fits other noise of the labels: their mean is
better than any of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor

from .batch import Batch, hash_buckets, truncate
from .config import EncoderConfig
from .features import FeatureConfig
from .operators import embed, gated_scan, max_sum_pool

_MOST_POSITIONS = 256
"""Positions of a text that are read, so that one endless text costs little."""
_BLOCK_ROWS = {"cpu": 128}
"""Rows that are scored at once: few enough on a CPU that their activations stay in its cache."""


class Dropout(torch.nn.Module):
    """Dropout that draws from a generator of its own, so that encoders can train in parallel threads reproducibly."""

    def __init__(self, probability: float = 0.0) -> None:
        super().__init__()
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        """As `torch.nn.Dropout`."""
        if not self.training or self.probability == 0:
            return values
        draws = torch.rand(values.shape, generator=self.generator, device=values.device)
        return values * (draws >= self.probability) / (1 - self.probability)


class Encoder(torch.nn.Module):
    """One encoder: embedding, gated scans, pooling, a linear layer.

    The first layer's inputs need no matrix product: each word has three vectors, for the position after it, its own and
    the one before, and each pair of words has one. A position adds up what its words and the pair that begins there
    contribute. A product of embedding and filter would express less and cost more. Layers after the first are residual.

    Each row begins with a separator that stays zero through all layers, so a row's logit does not depend on its neighbours.
    """

    def __init__(self, config: EncoderConfig, features: FeatureConfig, number: int = 0) -> None:
        super().__init__()
        self.config, self.features, self.number = config, features, number
        width = config.width
        self.words, self.pairs = (
            # As for the n-grams' weights, numpy asks the kernel for huge pages: training takes a twentieth less time.
            torch.nn.Parameter(torch.from_numpy(np.zeros((1 << bits, numbers * width), dtype=np.float32)))
            for bits, numbers in ((features.vector_bits, 6), (features.pair_bits, 2))
        )
        self.bias = torch.nn.Parameter(torch.zeros(2 * width))
        self.layers = torch.nn.ModuleList(torch.nn.Linear(width, 2 * width) for _ in range(config.layers - 1))
        self.dropout = Dropout()
        self.output = torch.nn.Linear(2 * width, 1)

    def forward(self, batch: Batch, token_weights: Tensor | None = None) -> Tensor:
        """Logits: float32, shape (rows,); of the first 256 positions of each text.

        Args:
            token_weights: float32, shape (positions,): how much each word counts; fully unless given.
        """
        words, pairs, offsets, weights = self.look_up(batch, token_weights)
        inputs = embed(self.words, self.pairs, self.bias, words, pairs, offsets, weights, sparse=True)
        return self.encode(inputs, offsets)

    def look_up(self, batch: Batch, token_weights: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows of `words` and of `pairs`, int32 of shape (positions,), offsets, and token weights of the positions read."""
        weights = torch.ones(len(batch.hashes), device=batch.hashes.device) if token_weights is None else token_weights
        hashes, pairs = batch.hashes, batch.ngrams[:, 1]
        is_read, offsets = truncate(batch.offsets, _MOST_POSITIONS)
        if is_read is not None:
            hashes, pairs, weights = hashes[is_read], pairs[is_read], weights[is_read]
        words = hash_buckets(hashes, self.features.vector_bits, self.number)
        return words, hash_buckets(pairs.long(), self.features.pair_bits, self.number), offsets, weights

    def encode(self, inputs: Tensor, offsets: Tensor) -> Tensor:
        """Logits, float32 of shape (rows,), from the first layer's inputs, float32 of shape (positions, 2 * width)."""
        states = gated_scan(inputs, offsets)
        for layer in self.layers:
            states = states + gated_scan(layer(states).float(), offsets)
        pooled = self.dropout(max_sum_pool(states, offsets))
        logits: Tensor = self.output(pooled).squeeze(1).float()
        return logits


class Encoders(torch.nn.ModuleList):
    """The encoders of a model, which score together."""

    def __init__(self, config: EncoderConfig, features: FeatureConfig) -> None:
        super().__init__(Encoder(config, features, number) for number in range(config.count))

    def __iter__(self) -> Iterator[Encoder]:
        """One after the other."""
        return cast(Iterator[Encoder], super().__iter__())

    def forward(self, batch: Batch, token_weights: Tensor | None = None) -> Tensor:
        """The mean of the encoders' logits: float32, shape (rows,)."""
        device = batch.offsets.device.type
        means = [batch.offsets.new_zeros(0, dtype=torch.float32)]
        for first in range(0, batch.count_rows, rows := _BLOCK_ROWS.get(device, 8_192)):
            block = batch.rows(first, min(first + rows, batch.count_rows))
            begin = int(batch.features.offsets[first])
            weights = None if token_weights is None else token_weights[begin : begin + len(block.hashes)]
            means.append(torch.stack([encoder(block, weights) for encoder in self]).mean(0))
        return torch.cat(means)
