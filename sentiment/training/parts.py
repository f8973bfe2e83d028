"""How each part of the model is trained: its forward pass, loss, optimizers and constants.

Each part has a loss of its own and trains in a thread of its own (`fit`). Embedding tables have sparse gradients and
row-wise Adagrad, since a dense optimizer's pass over them would cost more than all the rest; dense weights have Adam
(Kingma and Ba 2015).

A tenth of the labels may be wrong, and an encoder is large enough to memorise them: it trains with label smoothing (Szegedy
et al. 2016), worth 0.3 points. For the n-grams it is worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sentiment.model.batch import Batch
from sentiment.model.classifier import SentimentModel
from sentiment.model.encoder import Encoder
from sentiment.model.operators import embed
from sentiment.training.optimizer import RowwiseAdagrad
from sentiment.training.word_vectors import WordVectors

NGRAM_KIND_WEIGHTS = (1.0, 0.7, 0.5, 0.5)
"""Rarer kinds of n-grams count less: they memorise rows instead of generalising."""
_NGRAM_LR = 0.3
_NGRAM_INITIAL_ACCUMULATOR = 5.0
"""A rare n-gram moves little."""
_NGRAM_BATCH_ROWS = 384
"""As accurate as one row at a time; 1,024 are 0.15 points worse."""
_LEXICON_OFFSET = 0.5
"""Logits that a lexicon's score of 1 adds while the n-grams train. What it says they need not learn from rows, and they
learn better what it cannot say."""

_TABLE_LR = 0.8
_TABLE_INITIAL_ACCUMULATOR = 0.06
"""As much as some thousand occurrences add, so that rare words and pairs move little. With a sixtieth of it an encoder is half
a point worse."""
_DENSE_LR = 5e-3
_WORD_STD = 0.1
_DROPOUT = 0.2
_LABEL_SMOOTHING = 0.1
_ENCODER_BATCH_ROWS = 256


class Inputs(NamedTuple):
    """What the parts of the project's own model train on."""

    batch: Batch
    lexicon_scores: Tensor
    """float32, shape (rows,)."""

    def rows(self, first: int, last: int) -> Inputs:
        """The inputs of rows `first` to `last`."""
        return Inputs(self.batch.rows(first, last), self.lexicon_scores[first:last])


@dataclass
class Part:
    """A part of a model in training.

    Attributes:
        name: unique within the model.
        forward: inputs of some rows to their logits, (rows,).
        loss: logits and labels, both float of shape (rows,), to the summed loss.
        optimizers: they update what `forward` uses.
        batch_rows: rows in a batch.
        seed: seeds what `forward` draws at random.
        modules: put into training mode.
        synchronise: writes what was trained into the model, where that is another tensor.
        tensors: what else changes in training, by name.
        schedule: from the share of the training that is done to the multiple of the learning rates.
        threads: that torch may use for this part.
        rows: to train on, of all passes together; all unless given.
    """

    name: str
    forward: Callable[[Any], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizers: Sequence[torch.optim.Optimizer]
    batch_rows: int
    seed: Callable[[int], Any] = lambda _: None
    modules: Sequence[torch.nn.Module] = ()
    synchronise: Callable[[], None] = lambda: None
    tensors: Callable[[], dict[str, Tensor]] = dict
    schedule: Callable[[float], float] = lambda done: 1 - done
    threads: int = 1
    rows: int | None = None

    def __post_init__(self) -> None:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])

    def trains_on(self, step: int, rows_total: int) -> bool:
        """Whether it trains on a group: on the first, and on as many others, evenly spread, as make up its rows."""
        if self.rows is None or self.rows >= rows_total:
            return True
        before, after = (-(-number * self.rows // rows_total) for number in (step, step + 1))
        return after > before

    def progress(self, rows_seen: int, first: int, rows_total: int) -> float:
        """The share of its training that is done at row `first` of a group that it trains on."""
        every = max(rows_total / self.rows, 1.0) if self.rows else 1.0
        return min((rows_seen + first * every) / rows_total, 1.0)

    def scale_learning_rate(self, factor: float) -> None:
        """Set each learning rate to a multiple of the one the optimizer was made with."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = factor * group["initial_lr"]


def ngram_part(model: SentimentModel) -> Part:
    """The n-grams, trained on what the lexicon leaves unexplained."""

    def forward(inputs: Inputs) -> Tensor:
        logits: Tensor = model.ngrams(inputs.batch) + _LEXICON_OFFSET * inputs.lexicon_scores
        return logits

    optimizer = RowwiseAdagrad(
        model.ngrams.parameters(), lr=_NGRAM_LR, initial_accumulator_value=_NGRAM_INITIAL_ACCUMULATOR
    )
    return Part("ngrams", forward, _log_loss, [optimizer], _NGRAM_BATCH_ROWS, modules=[model.ngrams])


def encoder_part(encoder: Encoder, pretrained: WordVectors | None = None, seed: int = 0) -> Part:
    """One encoder, with newly drawn weights; its word vectors begin with pretrained ones where there are any."""
    device = encoder.bias.device
    encoder.dropout.probability = _DROPOUT
    generator = encoder.dropout.generator = torch.Generator(device)

    def reseed(number: int) -> None:
        mixed = np.random.SeedSequence([number & 0xFFFFFFFF, number >> 32, encoder.number]).generate_state(
            1, np.uint64
        )[0]
        generator.manual_seed(int(mixed >> np.uint64(1)))

    reseed(seed)
    _initialise(encoder, generator)
    dense = [encoder.bias, *encoder.layers.parameters(), *encoder.output.parameters()]
    tables = [encoder.words, encoder.pairs]
    module = None if pretrained is None else PretrainedEncoder(encoder, pretrained, generator)
    if module is not None:
        dense.append(module.matrix)
        tables[0] = module.words
    part = Part(
        name=f"encoder{encoder.number}",
        forward=lambda inputs: (module or encoder)(inputs.batch),
        loss=smoothed_log_loss,
        optimizers=[
            RowwiseAdagrad(tables, lr=_TABLE_LR, initial_accumulator_value=_TABLE_INITIAL_ACCUMULATOR),
            torch.optim.Adam(dense, lr=_DENSE_LR, betas=(0.9, 0.99), fused=True),
        ],
        batch_rows=_ENCODER_BATCH_ROWS,
        seed=reseed,
        modules=[encoder],
    )
    if module is not None:
        part.synchronise = module.fold
        part.tensors = lambda: {"words": module.words.data, "matrix": module.matrix.data}
    return part


@torch.no_grad()
def _initialise(encoder: Encoder, generator: torch.Generator) -> None:
    for name, parameter in encoder.named_parameters():
        if name == "words":
            parameter.normal_(std=_WORD_STD, generator=generator)
        elif parameter.dim() == 2 and name != "pairs":
            bound = parameter.shape[1] ** -0.5
            parameter.uniform_(-bound, bound, generator=generator)
        else:
            parameter.zero_()


class PretrainedEncoder(torch.nn.Module):
    """An encoder in training whose word vectors are the product of pretrained ones and a matrix, plus vectors of its own.

    Matrix and own vectors are trained. `fold` gives the encoder the sum: a saved model is no larger for it, scores as fast,
    and needs no file of vectors.
    """

    vectors: Tensor

    def __init__(self, encoder: Encoder, pretrained: WordVectors, generator: torch.Generator) -> None:
        super().__init__()
        self.encoder = encoder
        vectors, has_vector = pretrained.by_bucket(encoder.features.vector_bits, encoder.number)
        self.register_buffer("vectors", torch.from_numpy(vectors).to(encoder.bias.device), persistent=False)
        self.words = torch.nn.Parameter(encoder.words.detach().clone())
        self.words.data[torch.from_numpy(has_vector)] = 0
        matrix = torch.empty(vectors.shape[1], self.words.shape[1], device=encoder.bias.device)
        matrix.normal_(std=_WORD_STD * vectors.shape[1] ** -0.5, generator=generator)
        self.matrix = torch.nn.Parameter(matrix)

    def forward(self, batch: Batch) -> Tensor:
        """As `Encoder.forward`, with the product for just the words of the batch."""
        words, pairs, offsets, weights = self.encoder.look_up(batch)
        used_words, words = torch.unique(words, return_inverse=True)
        used_pairs, pairs = torch.unique(pairs, return_inverse=True)
        # Small tables with dense gradients, since the product takes no sparse one.
        word_table = F.embedding(used_words, self.words, sparse=True) + self.vectors[used_words] @ self.matrix
        pair_table = F.embedding(used_pairs, self.encoder.pairs, sparse=True)
        inputs = embed(word_table, pair_table, self.encoder.bias, words.int(), pairs.int(), offsets, weights)
        return self.encoder.encode(inputs, offsets)

    @torch.no_grad()
    def fold(self) -> None:
        """Write the sum into the encoder."""
        torch.addmm(self.words, self.vectors, self.matrix, out=self.encoder.words.data)


def _log_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum")


def smoothed_log_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The summed log loss of labels that are 90 % sure; logits and labels float, shape (rows,)."""
    return _log_loss(logits, labels * (1 - 2 * _LABEL_SMOOTHING) + _LABEL_SMOOTHING)
