"""The parts of the model while they learn, each on its own loss and on a core of its own.

All change just the table rows that a batch touches: Adagrad (Duchi et al. 2011) with each occurrence a step of its own,
since coalescing them, or a dense optimiser's pass over the table, costs ten times the rest. The n-grams learn in a compiled
loop, row by row. An encoder learns by batches: its matrix products are torch's, all else is in compiled loops too, back
and forth by hand, for a fraction of what autograd takes. Its few dense weights learn with Adam (Kingma and Ba 2015).

A tenth of the labels may be wrong, and an encoder is large enough to learn these by heart: it learns from labels that are
that much less sure (label smoothing, Szegedy et al. 2016), which is worth 0.3 points; to the n-grams it is worth nothing.

All that changes is in `tensors`, so that a checkpoint can hold it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from sentiment.model.encoder import Encoder, Walk, in_blocks
from sentiment.model.features import Features
from sentiment.model.kernels import add_up_slopes, learn_embedding, learn_ngrams, learn_pairs, pool_back, remember_back
from sentiment.model.lexicon import Lexicon
from sentiment.training.word_vectors import WordVectors

_NGRAM_STEP = 0.3
_LEXICON_SAYS = 0.5
"""Logits of a lexicon's score of 1 while the n-grams learn. What it says they need not learn from rows, and learn better
what it cannot say."""
_NGRAM_SHARES = np.array([1.0, 0.7, 0.5, 0.5], dtype=np.float32)
"""Of the step, by kind of n-gram: rarer ones remember rows instead of learning from them."""
_NGRAM_CAUTION = np.float32(5.0) / _NGRAM_SHARES**2
"""The squared gradient that an n-gram starts with: one seen a few times moves little."""

_WORD_STEP = 0.8
_VECTOR_CAUTION = 0.06
"""The squared gradient that a word or pair starts with: that of some thousand occurrences, so that what was seen a few times
moves little. With a sixtieth of it an encoder is half a point worse."""
_WORD_SPREAD = 0.1
_DENSE_STEP = 5e-3
_DROPOUT = 0.2
_LABEL_NOISE = 0.1


class Learner(Protocol):
    """A part of the model that learns."""

    batch_rows: int
    """How many rows it wants to learn from at once."""

    def begin(self, seed: int, step: int) -> None:
        """Start a row group; anything drawn by chance within it follows from these numbers."""

    def learn(self, features: Features, labels: np.ndarray, rate: float) -> float:
        """Learn from a batch with steps of `rate` times their first size; returns the sum of its log losses before."""

    def settle(self) -> None:
        """Hand over to the model what was learnt so far."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that changes, by name; the tensors themselves, not copies."""


class NgramLearner:
    """Learns the n-grams' values, which become a view of its table."""

    batch_rows = 4_096

    def __init__(self, values: torch.nn.Parameter, lexicon: Lexicon | None = None) -> None:
        self.lexicon = lexicon
        self.table = torch.zeros(len(values), 2)
        values.data = self.table[:, 0]

    def begin(self, seed: int, step: int) -> None:
        """Nothing here is drawn by chance."""

    def learn(self, features: Features, labels: np.ndarray, rate: float) -> float:
        """See `Learner`."""
        steps = np.float32(rate * _NGRAM_STEP) * _NGRAM_SHARES
        given = _LEXICON_SAYS * self.lexicon.read(features).scores if self.lexicon else np.zeros_like(labels)
        ngrams, offsets = features.ngrams, features.offsets
        return learn_ngrams(self.table.numpy(), ngrams, offsets, given, labels, steps, _NGRAM_CAUTION)

    def settle(self) -> None:
        """The values are the model's already."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `Learner`."""
        return {"ngrams.table": self.table}


class EncoderLearner:
    """Learns one encoder: vectors of words and pairs row by row, everything else densely.

    With pretrained vectors a word's row is the product of its vector and a matrix that is learnt, plus a row of its own that
    is learnt too unless the vectors are to stay frozen. The model gets the sum: it is no larger for them, scores as fast, and
    does without the file that they came from.
    """

    batch_rows = 256

    def __init__(self, encoder: Encoder, seed: int, pretrained: WordVectors | None = None) -> None:
        self.encoder = encoder
        self.chance = torch.Generator()
        self.begin(seed, -1)
        for name, parameter in encoder.named_parameters():
            if name == "words":
                parameter.data.normal_(std=_WORD_SPREAD, generator=self.chance)
            elif parameter.dim() == 2 and name != "pairs":
                bound = parameter.shape[1] ** -0.5
                parameter.data.uniform_(-bound, bound, generator=self.chance)
            else:
                parameter.data.zero_()
        self.own = encoder.words.data
        self.squares, self.pair_squares = torch.zeros(len(self.own)), torch.zeros(len(encoder.pairs))
        self.is_frozen = np.zeros(len(self.own), dtype=bool)
        self.dense = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
        self.vectors: torch.Tensor | None = None
        if pretrained is not None:
            vectors, has_vector = pretrained.by_bucket(encoder.features.vector_bits, encoder.number)
            self.vectors = torch.from_numpy(vectors)
            spread = _WORD_SPREAD * vectors.shape[1] ** -0.5
            self.matrix = torch.nn.Parameter(
                torch.empty(vectors.shape[1], self.own.shape[1]).normal_(std=spread, generator=self.chance)
            )
            self.dense.append(self.matrix)
            self.own = self.own.clone()
            self.own[torch.from_numpy(has_vector)] = 0
            if pretrained.frozen:
                self.is_frozen = has_vector
        self.adam = torch.optim.Adam(self.dense, lr=_DENSE_STEP, betas=(0.9, 0.99), fused=True)
        for parameter in self.dense:
            parameter.grad = torch.zeros_like(parameter)
            self.adam.state[parameter] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    def begin(self, seed: int, step: int) -> None:
        """See `Learner`."""
        mixed = np.random.SeedSequence([seed, self.encoder.number, step + 1]).generate_state(1, np.uint64)[0]
        self.chance.manual_seed(int(mixed >> np.uint64(1)))

    @torch.no_grad()
    def learn(self, features: Features, labels: np.ndarray, rate: float) -> float:
        """See `Learner`."""
        count_rows = len(labels)
        kept = torch.rand(count_rows, 2 * self.encoder.config.width, generator=self.chance)
        kept = (kept >= _DROPOUT).float().div_(1 - _DROPOUT)
        self.adam.zero_grad(set_to_none=False)
        words, pairs, offsets = self.encoder.rows(features)
        lessons, loss = [], 0.0
        for rows, positions, block in in_blocks(offsets):
            slopes, block_loss = self._study(words[positions], pairs[positions], block, labels[rows], kept[rows])
            lessons.append((positions, block, slopes))
            loss += block_loss
        for parameter in self.dense:
            _gradient(parameter).div_(count_rows)
        self.adam.param_groups[0]["lr"] = rate * _DENSE_STEP
        self.adam.step()
        step = rate * _WORD_STEP
        word_table, word_squares = self.own.numpy(), self.squares.numpy()
        pair_table, pair_squares = self.encoder.pairs.data.numpy(), self.pair_squares.numpy()
        for positions, block, slopes in lessons:
            learn_embedding(
                word_table, word_squares, self.is_frozen, words[positions], block, slopes, step, _VECTOR_CAUTION
            )
            learn_pairs(pair_table, pair_squares, pairs[positions], block, slopes, step, _VECTOR_CAUTION)
        return loss

    def _study(
        self, words: np.ndarray, pairs: np.ndarray, offsets: np.ndarray, labels: np.ndarray, kept: torch.Tensor
    ) -> tuple[np.ndarray, float]:
        """Add the slopes of some rows' summed log loss to the gradients of the dense weights.

        Args:
            kept: float32, shape (rows, 2 * width): what dropout multiplies the pooled numbers by.

        Returns:
            the slopes by the first layer's inputs, float32 of shape (positions, 2 * width), and the log loss.
        """
        weights = np.ones(len(words), dtype=np.float32)
        if self.vectors is None:
            walk = self.encoder.walk(words, pairs, offsets, weights)
        else:
            buckets, places = np.unique(words, return_inverse=True)
            chosen = torch.from_numpy(buckets)
            vectors = self.vectors.index_select(0, chosen)
            table = self.own.index_select(0, chosen).addmm_(vectors, self.matrix)
            words = places.astype(np.int32)
            walk = self.encoder.walk(words, pairs, offsets, weights, table.numpy())
        output, truth = self.encoder.output, torch.from_numpy(labels)
        seen = torch.from_numpy(walk.pooled) * kept
        logits = output(seen).squeeze(1)
        slopes = (torch.sigmoid(logits) - truth.mul(1 - 2 * _LABEL_NOISE).add_(_LABEL_NOISE)).unsqueeze(1)
        _gradient(output.weight).addmm_(slopes.T, seen)
        _gradient(output.bias).add_(slopes.sum(0))
        state_slopes = np.empty_like(walk.layers[-1].memory)
        pool_back((slopes @ output.weight * kept).numpy(), offsets, walk.places, state_slopes)
        input_slopes = self._walk_back(walk, offsets, state_slopes)
        if self.vectors is not None:
            sums = np.zeros((len(buckets), self.own.shape[1]), dtype=np.float32)
            add_up_slopes(words, offsets, input_slopes, sums)
            _gradient(self.matrix).addmm_(vectors.T, torch.from_numpy(sums))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
        return input_slopes, float(loss)

    def _walk_back(self, walk: Walk, offsets: np.ndarray, state_slopes: np.ndarray) -> np.ndarray:
        """Slopes by the first layer's inputs, (positions, 2 * width), from those by the last one's states, (positions, width);
        those by the dense weights on the way are added to their gradients."""
        for number in range(len(walk.layers) - 1, -1, -1):
            inputs, gates, memory, _ = walk.layers[number]
            input_slopes = np.empty_like(inputs)
            remember_back(inputs, offsets, gates, memory, state_slopes, input_slopes)
            slopes = torch.from_numpy(input_slopes)
            if number > 0:
                layer = self.encoder.layers[number - 1]
                assert isinstance(layer, torch.nn.Linear)
                _gradient(layer.weight).addmm_(slopes.T, walk.layers[number - 1].states)
                _gradient(layer.bias).add_(slopes.sum(0))
                torch.from_numpy(state_slopes).addmm_(slopes, layer.weight)
        _gradient(self.encoder.bias).add_(slopes.sum(0))
        return input_slopes

    @torch.no_grad()
    def settle(self) -> None:
        """See `Learner`."""
        if self.vectors is not None:
            torch.addmm(self.own, self.vectors, self.matrix, out=self.encoder.words.data)

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `Learner`."""
        changing = {"own": self.own, "squares": self.squares}
        changing |= {"pairs": self.encoder.pairs.data, "pair_squares": self.pair_squares}
        for number, parameter in enumerate(self.dense):
            changing[f"dense.{number}"] = parameter.data
            for name, value in self.adam.state[parameter].items():
                changing[f"adam.{number}.{name}"] = value
        return {f"encoder.{self.encoder.number}.{name}": value for name, value in changing.items()}


def _gradient(parameter: torch.Tensor) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad
