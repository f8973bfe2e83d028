"""A small gated convolution over the words of a tweet: what a bag of n-grams cannot say, such as a word's reach.

The first layer has no matrix product: each word has three vectors, for the word before, here and after, and a position
adds up its neighbours'. A product of embedding and filter would say less and cost more, in training and in scoring.
Further layers are gated (Dauphin et al. 2017) with a residual, over the position and its two neighbours. Maximum and mean
over positions give the logit.

A batch is one flat sequence, in which each row begins with a separator that stays zero through all layers: no padding, no
sorting by length, and a row's value does not depend on its neighbours.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn


class EncoderConfig(BaseModel):
    """The shape of the encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=32, ge=1, le=512, description="numbers a position in each layer")
    layers: int = Field(default=2, ge=1, le=8, description="layers, each reaching one word further to both sides")


class Encoder(nn.Module):
    """Logits from the vectors of a flat sequence of words."""

    def __init__(self, config: EncoderConfig, word_bits: int) -> None:
        super().__init__()
        width = config.width
        self.words = nn.Parameter(torch.zeros(1 << word_bits, 6 * width), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(2 * width))
        self.layers = nn.ModuleList(nn.Linear(3 * width, 2 * width) for _ in range(config.layers - 1))
        self.output = nn.Linear(2 * width, 1)

    def forward(self, vectors: torch.Tensor, offsets: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Encode a batch.

        Args:
            vectors: float32, shape (positions, 6 * width): the rows of `words` that the positions name.
            offsets: int64, shape (rows + 1,), as in `features.Features`.
            kept: float32, shape (rows, 2 * width): dropout of the pooled values, already scaled; none when scoring.

        Returns:
            float32, shape (rows,).
        """
        is_word = torch.ones(len(vectors), 1)
        is_word[offsets[:-1]] = 0
        before, here, after = (vectors * is_word).chunk(3, dim=1)
        states = _gate(here + self.bias + _following(before, -1) + _following(after, 1)) * is_word
        for layer in self.layers:
            window = torch.cat([_following(states, -1), states, _following(states, 1)], dim=1)
            states = states + _gate(layer(window)) * is_word
        lengths = offsets.diff()
        highest = torch.segment_reduce(states, "max", lengths=lengths, axis=0)
        mean = torch.segment_reduce(states, "sum", lengths=lengths, axis=0) / lengths.sqrt().unsqueeze(1)
        pooled = torch.cat([highest, mean], dim=1)
        return self.output(pooled if kept is None else pooled * kept).squeeze(1)


def _gate(values: torch.Tensor) -> torch.Tensor:
    content, gate = values.chunk(2, dim=1)
    return content * torch.sigmoid(gate)


def _following(values: torch.Tensor, step: int) -> torch.Tensor:
    """The values of the neighbours: shifted by one position, zero where there is none."""
    edge = torch.zeros_like(values[:1])
    return torch.cat([values[1:], edge]) if step == 1 else torch.cat([edge, values[:-1]])
