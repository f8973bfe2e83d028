"""What the encoder and its kernels compute, in plain torch: slow, with autograd for the backward pass."""

from __future__ import annotations

from itertools import pairwise

import torch

from sentiment.model.encoder import Encoder
from sentiment.model.features import Features


def logits(
    encoder: Encoder, vectors: torch.Tensor, of_pairs: torch.Tensor, features: Features, weights: torch.Tensor
) -> torch.Tensor:
    """One row after the other, one position after the other.

    Args:
        vectors: float32, shape (buckets, 6 * width): the words'.
        of_pairs: float32, shape (pair buckets, 2 * width).
        weights: float32, shape (positions,).

    Returns:
        float32, shape (rows,).
    """
    width = encoder.config.width
    words, pairs, offsets = encoder.rows(features)
    rows = []
    for first, end in pairwise(offsets.tolist()):
        weight = weights[first + 1 : end, None]
        beside = torch.cat([weight[1:], weight[-1:]])
        of_pair = torch.where((weight > 0) & (beside > 0), torch.maximum(weight, beside), 0)
        of_pair = of_pair * of_pairs[torch.from_numpy(pairs[first + 1 : end]).long()]
        taken = vectors[torch.from_numpy(words[first:end]).long()] * weights[first:end, None]
        taken = torch.cat([torch.zeros_like(taken[:1]), taken[1:]])
        before, here, after = taken.chunk(3, dim=1)
        blank = torch.zeros_like(here[:1])
        here = here + torch.cat([torch.zeros_like(here[:1]), of_pair])
        inputs = here + torch.cat([blank, before[:-1]]) + torch.cat([after[1:], blank]) + encoder.bias
        states = _remember(inputs, width)
        for layer in encoder.layers:
            states = states + _remember(layer(states), width)
        pooled = torch.cat([states.max(dim=0).values, states.sum(dim=0) / (end - first) ** 0.5])
        rows.append(encoder.output(pooled))
    return torch.cat(rows)


def _remember(inputs: torch.Tensor, width: int) -> torch.Tensor:
    """(positions, 2 * width) to (positions, width): zero at the separator, then half of the numbers forwards and half
    backwards."""
    new, gates = inputs[:, :width], torch.sigmoid(inputs[:, width:])
    half = width // 2
    forwards, backwards = [torch.zeros(half)], [torch.zeros(width - half)]
    for position in range(1, len(inputs)):
        gate = gates[position, :half]
        forwards.append(gate * forwards[-1] + (1 - gate) * new[position, :half])
    for position in range(len(inputs) - 1, 0, -1):
        gate = gates[position, half:]
        backwards.append(gate * backwards[-1] + (1 - gate) * new[position, half:])
    behind = torch.stack([backwards[0], *backwards[:0:-1]])
    return torch.cat([torch.stack(forwards), behind], dim=1)
