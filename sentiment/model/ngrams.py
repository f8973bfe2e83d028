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
from .operators import ngram_bag, ngram_weights


class NgramBag(torch.nn.Module):
    """Logistic regression on hashed n-grams; an `EmbeddingBag` of width one with a weight for each kind of n-gram."""

    kind_weights: Tensor
    """float32, shape (4,): n-grams of one, two and three words, and of the first and third of three words."""

    def __init__(self, bits: int, kind_weights: Sequence[float] = (1, 1, 1, 1)) -> None:
        super().__init__()
        # numpy asks the kernel for huge pages, torch does not; random access to the table is a third faster with them.
        self.weight = torch.nn.Parameter(torch.from_numpy(np.zeros(1 << bits, dtype=np.float32)))
        self.register_buffer("kind_weights", torch.tensor(kind_weights, dtype=torch.float32), persistent=False)

    def forward(self, batch: Batch, token_weights: Tensor | None = None) -> Tensor:
        """Logits: float32, shape (rows,).

        Args:
            token_weights: float32, shape (positions,): how much each word counts; fully unless given. An n-gram counts as
                its strongest word.
        """
        if token_weights is None:
            token_weights = self.weight.new_ones(len(batch.ngrams))
        return ngram_bag(self.weight, batch.ngrams, batch.offsets, self.kind_weights, token_weights, sparse=True)

    def contributions(self, batch: Batch, token_weights: Tensor) -> Tensor:
        """What each n-gram adds to the logit of its row: float32, shape (positions, 4)."""
        return self.weight[batch.ngrams.long()] * ngram_weights(batch.offsets, self.kind_weights, token_weights)
