"""The bag of hashed word n-grams: one number a bucket, summed over a text.

With two classes and a sum, a wider embedding can express nothing that one number a bucket cannot. The table then stays
close to the processor, which is where all the time goes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .batch import Batch
from .operators import ngram_bag


class NgramBag(torch.nn.Module):
    """Logistic regression on hashed n-grams; an `EmbeddingBag` of width one with a weight for each kind of n-gram."""

    kind_weights: Tensor
    """float32, shape (1, 4): n-grams of one, two and three words, and of the first and third of three words."""

    def __init__(self, bits: int, kind_weights: Sequence[float] = (1, 1, 1, 1)) -> None:
        super().__init__()
        # numpy asks the kernel for huge pages, torch does not; random access to the table is a third faster with them.
        self.weight = torch.nn.Parameter(torch.from_numpy(np.zeros(1 << bits, dtype=np.float32)))
        self.register_buffer("kind_weights", torch.tensor([list(kind_weights)], dtype=torch.float32), persistent=False)

    def forward(self, batch: Batch, ngram_weights: Tensor | None = None) -> Tensor:
        """Logits: float32, shape (rows,).

        Args:
            ngram_weights: float32, shape (positions, 4): how much each n-gram counts besides its kind; fully unless given.
        """
        weights = self.kind_weights if ngram_weights is None else self.kind_weights * ngram_weights
        return ngram_bag(self.weight, batch.ngrams, batch.offsets, weights, sparse=True)

    def contributions(self, batch: Batch, ngram_weights: Tensor | None = None) -> Tensor:
        """What each n-gram adds to the logit of its row: float32, shape (positions, 4)."""
        weights = self.kind_weights if ngram_weights is None else self.kind_weights * ngram_weights
        return self.weight[batch.ngrams.long()] * weights
