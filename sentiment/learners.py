"""The two parts of the model while they learn, each on its own loss.

Both change just the table rows that a batch touches: Adagrad (Duchi et al. 2011) with each occurrence a step of its own,
since coalescing them, or a dense optimiser's pass over the table, costs ten times the rest. The n-grams learn in a compiled
loop, row by row. The encoder learns by batches: its matrix products are torch's, all else is in compiled loops too, back
and forth by hand, for a fraction of what autograd takes, half a batch on each of two cores. Its few dense
weights learn with Adam (Kingma and Ba 2015).

All that changes is in `tensors`, so that a checkpoint can hold it.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import torch

from sentiment.encoder import Encoder
from sentiment.features import Features
from sentiment.kernels import embed, learn_embedding, learn_ngrams, pool, pool_back, remember, remember_back
from sentiment.lexicon import Lexicon

_NGRAM_STEP = 0.3
_LEXICON_SAYS = 0.5
"""Logits of a lexicon's score of 1 while the n-grams learn. What it says they need not learn from rows, and learn better
what it cannot say."""
_NGRAM_SHARES = np.array([1.0, 0.7, 0.5, 0.5], dtype=np.float32)
"""Of the step, by kind of n-gram: rarer ones remember rows instead of learning from them."""
_NGRAM_CAUTION = np.float32(5.0) / _NGRAM_SHARES**2
"""The squared gradient that an n-gram starts with: one seen a few times moves little."""

_WORD_STEP = 0.8
_WORD_CAUTION = 1e-3
_WORD_SPREAD = 0.1
_DENSE_STEP = 5e-3
_DROPOUT = 0.2
_PARTS = 2
"""A batch is studied in so many parts at once; a number of the method, not of the machine, since rounding follows it."""


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

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `Learner`."""
        return {"ngrams.table": self.table}


class _Lesson(NamedTuple):
    """What a part of a batch teaches: its summed log loss, and the slopes of that."""

    words: np.ndarray
    offsets: np.ndarray
    input_slopes: np.ndarray
    """float32, shape (positions, 2 * width)."""
    dense: list[torch.Tensor]
    """By the dense weights, in their order."""
    loss: float


class _Layer(NamedTuple):
    """What the way back needs of a layer: float32, shape (positions, 2 * width) for inputs and (positions, width)."""

    inputs: np.ndarray
    gates: np.ndarray
    memory: np.ndarray
    states: torch.Tensor
    """Memories of this layer and those before, added up."""


def _empty(rows: int, columns: int) -> np.ndarray:
    return np.empty((rows, columns), dtype=np.float32)


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
        self._threads = ThreadPoolExecutor(_PARTS, initializer=torch.set_num_threads, initargs=(1,))
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
        count_rows = len(labels)
        kept = torch.rand(count_rows, 2 * self.encoder.config.width, generator=self.chance)
        kept = (kept >= _DROPOUT).float().div_(1 - _DROPOUT)
        ends = [count_rows * part // _PARTS for part in range(_PARTS + 1)]
        halves = [
            (features.rows(first, last), labels[first:last], kept[first:last])
            for first, last in itertools.pairwise(ends)
            if last > first
        ]
        lessons = list(self._threads.map(self._study, *zip(*halves, strict=True)))
        for parameter, *slopes in zip(self.dense, *(lesson.dense for lesson in lessons), strict=True):
            assert parameter.grad is not None
            torch.div(sum(slopes[1:], start=slopes[0]), count_rows, out=parameter.grad)
        self.adam.param_groups[0]["lr"] = rate * _DENSE_STEP
        self.adam.step()
        list(self._threads.map(self._learn_words, [lessons] * _PARTS, range(_PARTS), [rate] * _PARTS))
        return sum(lesson.loss for lesson in lessons)

    def _learn_words(self, lessons: list[_Lesson], part: int, rate: float) -> None:
        """The vectors of every `_PARTS`-th word: no two threads change the same, and each sees its rows in their order."""
        table, squares = self.encoder.words.data.numpy(), self.squares.numpy()
        for lesson in lessons:
            learn_embedding(
                table,
                squares,
                lesson.words,
                lesson.offsets,
                lesson.input_slopes,
                rate * _WORD_STEP,
                _WORD_CAUTION,
                part,
                _PARTS,
            )

    @torch.no_grad()
    def _study(self, features: Features, labels: np.ndarray, kept: torch.Tensor) -> _Lesson:
        """The slopes of some rows' summed log loss; changes nothing.

        Args:
            kept: float32, shape (rows, 2 * width): what dropout multiplies the pooled numbers by.
        """
        words, offsets = self.encoder.shorten(features.words, features.offsets)
        walk = self._walk(words, offsets)
        width, count_rows = self.encoder.config.width, len(labels)
        pooled, places = _empty(count_rows, 2 * width), np.empty((count_rows, width), dtype=np.int64)
        pool(walk[-1].states.numpy(), offsets, pooled, places)
        seen = torch.from_numpy(pooled) * kept
        logits = self.encoder.output(seen).squeeze(1)
        truth = torch.from_numpy(labels)

        slopes = (torch.sigmoid(logits) - truth).unsqueeze(1)
        state_slopes = _empty(len(words), width)
        pool_back((slopes @ self.encoder.output.weight * kept).numpy(), offsets, places, state_slopes)
        input_slopes, by_parameter = self._walk_back(walk, offsets, state_slopes)
        by_parameter |= {self.encoder.output.weight: slopes.T @ seen, self.encoder.output.bias: slopes.sum(0)}
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
        dense = [by_parameter[parameter] for parameter in self.dense]
        return _Lesson(words, offsets, input_slopes, dense, float(loss))

    def _walk(self, words: np.ndarray, offsets: np.ndarray) -> list[_Layer]:
        """Every layer of a batch, from the first."""
        encoder, width = self.encoder, self.encoder.config.width
        inputs = _empty(len(words), 2 * width)
        embed(encoder.words.data.numpy(), words, offsets, encoder.bias.data.numpy(), inputs)
        walk: list[_Layer] = []
        for following in [*encoder.layers, None]:
            gates, memory = _empty(len(words), width), _empty(len(words), width)
            remember(inputs, offsets, gates, memory)
            states = torch.from_numpy(memory)
            walk.append(_Layer(inputs, gates, memory, walk[-1].states + states if walk else states))
            if following is not None:
                inputs = following(walk[-1].states).numpy()
        return walk

    def _walk_back(
        self, walk: list[_Layer], offsets: np.ndarray, state_slopes: np.ndarray
    ) -> tuple[np.ndarray, dict[torch.Tensor, torch.Tensor]]:
        """Slopes by the first layer's inputs, (positions, 2 * width), from those by the last one's states, (positions, width);
        and those by the dense weights on the way."""
        by_parameter: dict[torch.Tensor, torch.Tensor] = {}
        for number in range(len(walk) - 1, -1, -1):
            inputs, gates, memory, _ = walk[number]
            past_layer = torch.from_numpy(state_slopes.copy())
            input_slopes = np.empty_like(inputs)
            remember_back(inputs, offsets, gates, memory, state_slopes, input_slopes)
            slopes = torch.from_numpy(input_slopes)
            if number > 0:
                layer = self.encoder.layers[number - 1]
                assert isinstance(layer, torch.nn.Linear)
                by_parameter[layer.weight] = slopes.T @ walk[number - 1].states
                by_parameter[layer.bias] = slopes.sum(0)
                state_slopes = past_layer.addmm_(slopes, layer.weight).numpy()
        by_parameter[self.encoder.bias] = slopes.sum(0)
        return input_slopes, by_parameter

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `Learner`."""
        changing = {f"encoder.{name}": parameter.data for name, parameter in self.encoder.named_parameters()}
        changing["encoder.squares"] = self.squares
        for number, parameter in enumerate(self.dense):
            for name, value in self.adam.state[parameter].items():
                changing[f"adam.{number}.{name}"] = value
        return changing
