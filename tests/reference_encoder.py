"""What `sentiment.encoder` and `sentiment.kernels` compute, said in torch: slow, and with autograd for the way back."""

from __future__ import annotations

import torch

from sentiment.encoder import Encoder


def logits(
    encoder: Encoder, vectors: torch.Tensor, words: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """One row after the other, one position after the other.

    Args:
        vectors: float32, shape (buckets, 6 * width): the words'.
        words: int32, shape (positions,), offsets: int64, shape (rows + 1,), weights: float32, shape (positions,).

    Returns:
        float32, shape (rows,).
    """
    width = encoder.config.width
    rows = []
    for first, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        taken = vectors[words[first:end].long()] * weights[first:end, None]
        taken = torch.cat([torch.zeros_like(taken[:1]), taken[1:]])
        before, here, after = taken.chunk(3, dim=1)
        blank = torch.zeros_like(here[:1])
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
