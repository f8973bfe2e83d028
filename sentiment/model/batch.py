"""A batch of texts as tensors on a device: what the model's modules take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .features import MULTIPLIER, Features


class Batch(NamedTuple):
    """Features of some texts as one flat sequence of positions: for each row a separator, then its words."""

    ngrams: Tensor
    """int32, shape (positions, 4): buckets of the n-grams that begin at each position."""
    words: Tensor
    """int32, shape (positions,): bucket of the word, for the vocabulary."""
    hashes: Tensor
    """int64, shape (positions,): the 64 bits of the word's hash."""
    offsets: Tensor
    """int64, shape (rows + 1,): row i has the positions `offsets[i]` to `offsets[i + 1]`."""
    features: Features
    """The same rows as numpy arrays in main memory, which the lexicon reads."""
    texts: list[str] | None = None
    """The texts themselves, for a custom module."""

    @classmethod
    def of(cls, features: Features, device: torch.device | str = "cpu", texts: list[str] | None = None) -> Batch:
        """The features on a device; on the CPU without a copy."""
        arrays = (features.ngrams, features.words, features.hashes.view("int64"), features.offsets)
        ngrams, words, hashes, offsets = (torch.from_numpy(array).to(device, non_blocking=True) for array in arrays)
        return cls(ngrams, words, hashes, offsets, features, texts)

    @property
    def count_rows(self) -> int:
        """Texts in the batch."""
        return len(self.offsets) - 1

    def rows(self, first: int, last: int) -> Batch:
        """The rows `first` to `last`, without a copy of the large tensors."""
        offsets = self.features.offsets
        begin, end = int(offsets[first]), int(offsets[last])
        return Batch(
            ngrams=self.ngrams[begin:end],
            words=self.words[begin:end],
            hashes=self.hashes[begin:end],
            offsets=self.offsets[first : last + 1] - begin,
            features=self.features.rows(first, last),
            texts=None if self.texts is None else self.texts[first:last],
        )

    def split(self, count_rows: int) -> Iterator[Batch]:
        """Batches of `count_rows` rows each, in order; the last one may be smaller."""
        for first in range(0, self.count_rows, count_rows):
            yield self.rows(first, min(first + count_rows, self.count_rows))


def hash_buckets(hashes: Tensor, bits: int, number: int) -> Tensor:
    """`features.word_buckets` for tensors: int64 bit patterns to int32 buckets below 2**bits, shape kept."""
    multiplier = pow(int(MULTIPLIER), number + 1, 1 << 64)
    signed = multiplier - (1 << 64) if multiplier >> 63 else multiplier
    return ((hashes * signed >> (64 - bits)) & ((1 << bits) - 1)).int()


def truncate(offsets: Tensor, longest: int) -> tuple[Tensor | None, Tensor]:
    """Which positions are among the first `longest` of their row, None if all are, and the offsets without the others."""
    lengths = offsets.diff()
    if len(lengths) == 0 or int(lengths.max()) <= longest:
        return None, offsets
    places = torch.arange(int(offsets[-1]), device=offsets.device) - torch.repeat_interleave(offsets[:-1], lengths)
    shorter = torch.nn.functional.pad(lengths.clamp(max=longest).cumsum(0), (1, 0))
    return places < longest, shorter
