"""The two parts of the model while they learn, each on its own loss.

Both change just the table rows that a batch touches: Adagrad (Duchi et al. 2011) with each occurrence a step of its own,
since coalescing them, or a dense optimiser's pass over the table, costs ten times the rest. The n-grams learn in a compiled
loop, row by row (`kernels`); the encoder's few dense weights learn with Adam (Kingma and Ba 2015).

All that changes is in `tensors`, so that a checkpoint can hold it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from sentiment.features import Features
from sentiment.kernels import learn_ngrams
from sentiment.model import Encoder

_NGRAM_STEP = 0.3
_NGRAM_SHARES = np.array([1.0, 0.7, 0.5, 0.5], dtype=np.float32)
"""Of the step, by kind of n-gram: rarer ones remember rows instead of learning from them."""
_NGRAM_CAUTION = np.float32(5.0) / _NGRAM_SHARES**2
"""The squared gradient that an n-gram starts with: one seen a few times moves little."""

_WORD_STEP = 0.4
_WORD_CAUTION = 1e-3
_WORD_SPREAD = 0.1
_DENSE_STEP = 5e-3
_DROPOUT = 0.2


class Learner(Protocol):
    """A part of the model that learns."""

    def begin(self, seed: int, step: int) -> None:
        """Start a row group; anything drawn by chance within it follows from these numbers."""

    def learn(self, features: Features, labels: np.ndarray, rate: float) -> float:
        """Learn from a batch with steps of `rate` times their first size; returns the sum of its log losses before."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that changes, by name; the tensors themselves, not copies."""


class NgramLearner:
    """Learns the n-grams' values, which become a view of its table."""

    def __init__(self, values: torch.nn.Parameter) -> None:
        self.table = torch.zeros(len(values), 2)
        values.data = self.table[:, 0]

    def begin(self, seed: int, step: int) -> None:
        """Nothing here is drawn by chance."""

    def learn(self, features: Features, labels: np.ndarray, rate: float) -> float:
        """See `Learner`."""
        steps = np.float32(rate * _NGRAM_STEP) * _NGRAM_SHARES
        return learn_ngrams(self.table.numpy(), features.ngrams, features.offsets, labels, steps, _NGRAM_CAUTION)

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `Learner`."""
        return {"ngrams.table": self.table}


class EncoderLearner:
    """Learns the encoder: its words' vectors row by row, everything else densely."""

    def __init__(self, encoder: Encoder, seed: int) -> None:
        self.encoder = encoder
        self.chance = torch.Generator().manual_seed(seed)
        for name, parameter in encoder.named_parameters():
            if name == "words":
                parameter.data.normal_(std=_WORD_SPREAD, generator=self.chance)
            elif parameter.dim() == 2:
                bound = parameter.shape[1] ** -0.5
                parameter.data.uniform_(-bound, bound, generator=self.chance)
            else:
                parameter.data.zero_()
        self.squares = torch.zeros(len(encoder.words))
        self.dense = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
        self.adam = torch.optim.Adam(self.dense, lr=_DENSE_STEP, betas=(0.9, 0.99), foreach=False)
        for parameter in self.dense:
            parameter.grad = torch.zeros_like(parameter)
            self.adam.state[parameter] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    def begin(self, seed: int, step: int) -> None:
        """See `Learner`."""
        self.chance.manual_seed(seed * 1_000_003 + step)

    def learn(self, features: Features, labels: np.ndarray, rate: float) -> float:
        """See `Learner`."""
        words, offsets = torch.from_numpy(features.words), torch.from_numpy(features.offsets)
        vectors = self.encoder.embed(words, offsets).requires_grad_()
        kept = torch.rand(len(labels), self.encoder.output.in_features, generator=self.chance)
        kept = (kept >= _DROPOUT).float().div_(1 - _DROPOUT)
        logits = self.encoder(vectors, offsets, kept)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels), reduction="sum")
        self.adam.zero_grad()
        torch.autograd.backward(loss)
        for parameter in self.dense:
            assert parameter.grad is not None
            parameter.grad /= len(labels)
        self.adam.param_groups[0]["lr"] = rate * _DENSE_STEP
        self.adam.step()
        gradients = vectors.grad
        assert gradients is not None
        gradients.index_fill_(0, offsets[:-1], 0)
        self.squares.index_add_(0, words, torch.linalg.vecdot(gradients, gradients) / gradients.shape[1])
        gradients *= (self.squares.index_select(0, words) + _WORD_CAUTION).rsqrt_().unsqueeze(1)
        self.encoder.words.data.index_add_(0, words, gradients, alpha=-rate * _WORD_STEP)
        return loss.item()

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `Learner`."""
        changing = {f"encoder.{name}": parameter.data for name, parameter in self.encoder.named_parameters()}
        changing["encoder.squares"] = self.squares
        for number, parameter in enumerate(self.dense):
            for name, value in self.adam.state[parameter].items():
                changing[f"adam.{number}.{name}"] = value
        return changing
