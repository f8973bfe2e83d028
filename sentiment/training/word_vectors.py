"""Pretrained word vectors in the usual text formats: GloVe's, and fastText's `.vec`, whose first line is a header.

Only the vectors of words that occur in the training rows are read and kept. A file's words are normalised like tweets, so
`Don't` in the file is `dont` in the tweet; of several that become the same word the first is used, since these files
begin with the most frequent words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from sentiment.errors import InputError
from sentiment.model.features import word_buckets
from sentiment.model.words import hash_words
from sentiment.training.config import VectorsConfig

_LINES_AT_ONCE = 20_000
_LARGEST_SIZE = 2_000
_EXPECTED = (
    "expected a word and its numbers on each line, separated by spaces, as in GloVe's text files and fastText's .vec"
)


@dataclass(frozen=True)
class WordVectors:
    """The vocabulary of the training rows, and the vectors of those of its words that a file has."""

    hashes: np.ndarray
    """uint64, shape (words,), ascending."""
    counts: np.ndarray
    """int64, shape (words,)."""
    places: np.ndarray
    """int64, shape (words,): row of `vectors`, or -1."""
    vectors: np.ndarray
    """float32, shape (words with one, size); their mean squared length is 1."""

    def by_bucket(self, bits: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The vector of each bucket of words, which is that of its most frequent word: float32, shape (2**bits, size), zeros
        for a word without one; and which buckets have one: bool, shape (2**bits,)."""
        by_count = np.argsort(self.counts, kind="stable")
        owners = np.full(1 << bits, -1)
        owners[word_buckets(self.hashes[by_count], bits, number)] = self.places[by_count]
        has_vector = owners >= 0
        vectors = np.zeros((1 << bits, self.vectors.shape[1]), dtype=np.float32)
        vectors[has_vector] = self.vectors[owners[has_vector]]
        return vectors, has_vector


def describe(path: Path) -> VectorsConfig:
    """Describe a file of word vectors for a training's config.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return VectorsConfig(digest=hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise InputError(
            f"The word vectors {path} cannot be read ({error.strerror}). Name a text file of word vectors."
        ) from error


def read_word_vectors(path: Path, hashes: np.ndarray, counts: np.ndarray) -> WordVectors:
    """Read the vectors of words that are known by their hashes.

    Args:
        hashes: uint64, shape (words,), ascending: the vocabulary.
        counts: int64, shape (words,): how often each occurs in the training rows.

    Raises:
        InputError: the file cannot be read, is no text file of vectors, or has none of these words.
    """
    places = np.full(len(hashes), -1)
    vectors: list[np.ndarray] = []
    size, number = 0, 0
    try:
        with path.open("rb") as file:
            for batch in _batches(file):
                lines = batch
                if number == 0:
                    size = _size_of(path, batch)
                    if len(batch[0].split()) == 2 and size > 1:
                        lines, number = batch[1:], 1
                parted = [line.rstrip().rsplit(b" ", size) for line in lines]
                tokens = pl.Series([parts[0].decode("utf-8", "replace") for parts in parted], dtype=pl.String)
                for line, place in _known(tokens, hashes):
                    if places[place] < 0:
                        places[place] = len(vectors)
                        vectors.append(_numbers(path, number + line + 1, parted[line][1:], size))
                number += len(lines)
    except OSError as error:
        raise InputError(
            f"The word vectors {path} cannot be read ({error.strerror}). Name a text file of word vectors."
        ) from error
    if not vectors:
        raise InputError(
            f"None of the {number:,} words in {path} occurs in the tweets to train on; {_EXPECTED}, of the tweets' language. "
            "Name another file, or train without one."
        )
    table = np.stack(vectors)
    length = float(np.sqrt(np.mean(np.sum(table.astype(np.float64) ** 2, axis=1))))
    return WordVectors(hashes, counts, places, table / np.float32(length or 1))


def _batches(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(islice(lines, _LINES_AT_ONCE)):
        yield batch


def _size_of(path: Path, lines: list[bytes]) -> int:
    """Numbers a line, from the second line if the first one counts words and numbers."""
    first = lines[0].split()
    following = lines[1].split() if len(lines) > 1 else []
    size = len(first) - 1
    if len(first) == 2 and first[1].isdigit() and len(following) > 2:
        size = int(first[1])
    if not 0 < size <= _LARGEST_SIZE or b"\0" in lines[0]:
        shown = lines[0][:60].decode("utf-8", "replace").strip()
        raise InputError(
            f"{path} is no text file of word vectors: it starts with {shown!r}; {_EXPECTED}. "
            "A file in word2vec's or fastText's binary format has to be saved as text first."
        )
    return size


def _known(tokens: pl.Series, hashes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Which of a file's words are one word of a tweet that is in the vocabulary: their lines, and its place there."""
    if len(hashes) == 0:
        return iter(())
    words = hash_words(tokens)
    begins = np.concatenate([[0], words.ends[:-1]])
    lines = np.flatnonzero(words.ends - begins == 1)
    found = words.hashes[begins[lines]]
    places = np.minimum(np.searchsorted(hashes, found), len(hashes) - 1)
    is_known = hashes[places] == found
    return zip(lines[is_known].tolist(), places[is_known].tolist(), strict=True)


def _numbers(path: Path, line: int, parts: list[bytes], size: int) -> np.ndarray:
    try:
        numbers = np.array(parts, dtype=np.float32)
    except ValueError:
        numbers = np.empty(0, dtype=np.float32)
    if len(numbers) != size or not np.isfinite(numbers).all():
        shown = b" ".join(parts)[:60].decode("utf-8", "replace")
        raise InputError(
            f"{path}, line {line:,}: found {len(parts)} values behind the word ({shown} …), expected {size} finite numbers. "
            "The file is damaged or incomplete; download it again."
        )
    return numbers
