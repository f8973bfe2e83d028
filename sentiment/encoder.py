"""The sequence encoder beside the n-grams, as it scores: a small gated memory in torch.

`learners` and `kernels` compute the same while it learns, several times faster than autograd.
"""

from __future__ import annotations

import numpy as np
import torch

from sentiment.model_config import EncoderConfig

_MOST_POSITIONS = 256


class Encoder(torch.nn.Module):
    """A small gated memory over the words of a tweet: what a bag of n-grams cannot say, such as a word's reach.

    The first layer's inputs need no matrix product: each word has three vectors, for the word before, here and after, and a
    position adds up its neighbours'. A product of embedding and filter would say less and cost more, in training and in
    scoring. A layer keeps at each position a part of the state before and takes in new values, by gates that depend on the
    inputs alone (SRU, Lei et al. 2018; minGRU, Feng et al. 2024), so that walking along a tweet costs two operations a
    number; half of the numbers walk backwards. Further layers are added to the ones before. Maximum and scaled sum over
    positions give the logit.

    A batch is one flat sequence, in which each row begins with a separator that stays zero through all layers: a row's value
    does not depend on its neighbours. `kernels` computes the same while learning.
    """

    def __init__(self, config: EncoderConfig, word_bits: int) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.words = torch.nn.Parameter(torch.zeros(1 << word_bits, 6 * width), requires_grad=False)
        self.bias = torch.nn.Parameter(torch.zeros(2 * width))
        self.layers = torch.nn.ModuleList(torch.nn.Linear(width, 2 * width) for _ in range(config.layers - 1))
        self.output = torch.nn.Linear(2 * width, 1)

    def shorten(self, values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values, (positions,), and offsets of the first `_MOST_POSITIONS` positions of each row, so that one endless text
        costs little."""
        lengths = np.diff(offsets)
        if lengths.max(initial=0) <= _MOST_POSITIONS:
            return values, offsets
        places = np.arange(len(values)) - np.repeat(offsets[:-1], lengths)
        shorter = np.concatenate([[0], np.cumsum(np.minimum(lengths, _MOST_POSITIONS))])
        return values[places < _MOST_POSITIONS], shorter

    def forward(self, words: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Encode a batch, best of rows of like length.

        Args:
            words: int32, shape (positions,), and offsets: int64, shape (rows + 1,): as `shorten` gives them.
            weights: float32, shape (positions,): how far each word counts; fully unless given.

        Returns:
            float32, shape (rows,).
        """
        separators, lengths = offsets[:-1], offsets.diff()
        steps = torch.arange(1, int(lengths.max())).unsqueeze(1)
        is_inside = steps < lengths
        # Where a row has ended, its separator stands in: it keeps the state as it is.
        forwards = separators + steps * is_inside
        backwards = separators + (lengths - steps) * is_inside
        vectors = self.words.index_select(0, words).index_fill(0, separators, 0)
        if weights is not None:
            vectors = vectors * weights.unsqueeze(1)
        inputs = _add_neighbours(vectors) + self.bias
        states = self._remember(inputs, separators, forwards, backwards)
        for layer in self.layers:
            states = states + self._remember(layer(states), separators, forwards, backwards)
        highest = torch.segment_reduce(states, "max", lengths=lengths, axis=0)
        total = torch.segment_reduce(states, "sum", lengths=lengths, axis=0) / lengths.sqrt().unsqueeze(1)
        logits: torch.Tensor = self.output(torch.cat([highest, total], dim=1)).squeeze(1)
        return logits

    def _remember(
        self, inputs: torch.Tensor, separators: torch.Tensor, forwards: torch.Tensor, backwards: torch.Tensor
    ) -> torch.Tensor:
        """Walk along all rows at once: inputs (positions, 2 * width), ways (steps, rows); returns (positions, width)."""
        new, gates = inputs.chunk(2, dim=1)
        gates = torch.sigmoid(gates)
        taken = ((1 - gates) * new).index_fill(0, separators, 0)
        gates = gates.index_fill(0, separators, 1)
        half = self.config.width // 2
        walked = []
        for way, columns in ((forwards, slice(half)), (backwards, slice(half, None))):
            kept, added = gates[:, columns][way], taken[:, columns][way]
            state, states = added.new_zeros(added.shape[1:]), []
            for step in range(len(way)):
                state = torch.addcmul(added[step], kept[step], state)
                states.append(state)
            along = taken.new_zeros(len(taken), taken[:, columns].shape[1])
            if states:
                along = along.index_put((way.flatten(),), torch.stack(states).flatten(0, 1))
            walked.append(along)
        return torch.cat(walked, dim=1).index_fill(0, separators, 0)


def _add_neighbours(parts: torch.Tensor) -> torch.Tensor:
    """(positions, 3n) to (positions, n): each position adds up what the one before, itself and the one after say of it."""
    before, here, after = parts.chunk(3, dim=1)
    total = here.clone()
    total[1:] += before[:-1]
    total[:-1] += after[1:]
    return total
