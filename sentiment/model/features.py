"""Hashed word n-grams of tweets, computed for whole batches from raw bytes and never stored.

A saved model must see the same features on every machine and library version. So nothing here depends on what a regular
expression or a library takes for a letter: a table of 256 entries classifies bytes, and every rule is arithmetic on bytes.
Bytes over 127 count as letters, so words of any script are tokens without a Unicode table.

The rules, in order: links are removed; emoticons and emoji become words (`symbols`); ASCII letters become lower case;
apostrophes are removed (don't = dont); three or more of the same byte in a row become two (sooooo = soo); runs of letters
and digits are words; words after an `@` are removed, because who is mentioned is a shortcut to the label in this data and
no sentiment; runs of one punctuation mark are words, except `#`, so that a hashtag is its word. A separator precedes the
first word and follows the last, so n-grams see where a tweet begins and ends, and an empty tweet has a feature too.

Costs about 2.2 microseconds a tweet on one core, in numpy calls that release the interpreter lock, so that threads help.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from . import hashing
from .symbols import in_python, spell_out, spell_out_one

_OTHER, _WORD, _AT, _FIRST_MARK = 0, 1, 2, 3
_MARKS = b'!"$%&()*+,-./:;<=>?[\\]^`{|}~'
_LINK = r"(?:[hH][tT][tT][pP][sS]?://|[wW][wW][wW]\.)[^ \t\r\n]*"
_LINK_IN_PYTHON = in_python(_LINK)
_FEW_ROWS, _FEW_CHARACTERS = 100, 10_000
_LONGEST_TOKEN = 64
_SEPARATOR = np.uint64(0x5E9A4A7024C0FFEE)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_B = np.uint64(0xD6E8FEB86659FD93)
_MULTIPLIER_C = np.uint64(0xA0761D6478BD642F)
NGRAMS_PER_POSITION = 4


def _byte_kinds() -> np.ndarray:
    kinds = np.full(256, _OTHER, dtype=np.uint8)
    kinds[list(b"abcdefghijklmnopqrstuvwxyz0123456789_")] = _WORD
    kinds[0x80:] = _WORD
    kinds[ord("@")] = _AT
    kinds[list(_MARKS)] = np.arange(_FIRST_MARK, _FIRST_MARK + len(_MARKS))
    return kinds


def _lower_case() -> np.ndarray:
    lower = np.arange(256, dtype=np.uint8)
    lower[ord("A") : ord("Z") + 1] += 32
    return lower


_KINDS = _byte_kinds()
_LOWER = _lower_case()


class FeatureConfig(BaseModel):
    """Everything that decides which features a text has; saved beside the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokeniser: Literal["words-v2"] = "words-v2"
    hash: Literal["poly64-v1"] = "poly64-v1"
    ngram_bits: int = Field(default=24, ge=4, le=26, description="n-grams are hashed into 2**ngram_bits buckets")
    word_bits: int = Field(
        default=16, ge=4, le=20, description="words are hashed into 2**word_bits buckets of the vocabulary"
    )
    vector_bits: int = Field(
        default=16, ge=4, le=22, description="words are hashed into 2**vector_bits rows of each encoder"
    )
    pair_bits: int = Field(
        default=18, ge=4, le=22, description="two words in a row are hashed into 2**pair_bits rows of each encoder"
    )


class Words(NamedTuple):
    """The words of a batch of texts, in reading order."""

    hashes: np.ndarray
    """uint64, shape (words,)."""
    ends: np.ndarray
    """int64, shape (rows,); the words of row i end before `ends[i]` and start where those of row i - 1 end."""
    is_shouted: np.ndarray
    """bool, shape (words,): begins with two capitals."""
    exclamations: np.ndarray
    """int64, shape (rows,): exclamation marks of each text."""
    hashtags: np.ndarray
    """int64, shape (rows,): hashtags of each text."""


class _Found(NamedTuple):
    """Where the words of a batch are in one buffer of bytes."""

    buffer: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    line_ends: np.ndarray
    is_capital: np.ndarray
    exclamations: np.ndarray
    hashtags: np.ndarray


def _find_words(texts: pl.Series) -> _Found:
    joined, line_ends = _join_lines(texts)
    written = np.frombuffer(joined, dtype=np.uint8)
    exclamations = np.searchsorted(np.flatnonzero(written == ord("!")), line_ends)
    buffer = _LOWER[written]
    begins_hashtag = (written[:-1] == ord("#")) & (_KINDS[buffer[1:]] == _WORD)
    hashtags = np.searchsorted(np.flatnonzero(begins_hashtag), line_ends)
    is_repeat = buffer[1:] == buffer[:-1]
    keep = buffer != ord("'")
    keep[2:] &= ~(is_repeat[1:] & is_repeat[:-1])
    keep[line_ends] = True
    line_ends = np.cumsum(keep)[line_ends] - 1
    is_capital = (written != buffer)[keep]
    buffer = buffer[keep]
    kinds = _KINDS[buffer]
    kinds[line_ends] = _OTHER
    changes = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
    starts = np.concatenate([[0], changes])
    ends = np.concatenate([changes, [len(buffer)]])
    run_kinds = kinds[starts]
    is_word = (run_kinds == _WORD) | (run_kinds >= _FIRST_MARK)
    is_word[1:] &= (run_kinds[:-1] != _AT) | (run_kinds[1:] != _WORD)
    return _Found(
        buffer,
        starts[is_word],
        ends[is_word],
        line_ends,
        is_capital,
        np.diff(exclamations, prepend=0),
        np.diff(hashtags, prepend=0),
    )


def _join_lines(texts: pl.Series) -> tuple[bytes, np.ndarray]:
    """Texts without links and with symbols spelt out, each ended by a newline, and the positions of these newlines."""
    rows = texts.to_list() if len(texts) <= _FEW_ROWS else None
    if rows is not None and sum(map(len, rows)) <= _FEW_CHARACTERS:
        # A column's operations cost 0.1 ms each, whatever its length, and wake other threads.
        encoded = [spell_out_one(_LINK_IN_PYTHON.sub(" ", text)).encode() for text in rows]
        joined = b"\n".join([*encoded, b""])
        lengths = np.array([len(line) for line in encoded], dtype=np.int64)
    else:
        lines = spell_out(texts.str.replace_all(_LINK, " "))
        joined = (lines.str.join("\n")[0] + "\n").encode()
        lengths = lines.str.len_bytes().to_numpy().astype(np.int64)
    return joined, np.cumsum(lengths + 1) - 1


def hash_words(texts: pl.Series) -> Words:
    """Split texts into words and hash each word.

    Args:
        texts: String, shape (rows,), without nulls.
    """
    found = _find_words(texts)
    starts = found.starts
    return Words(
        hashes=hashing.hash_spans(found.buffer, starts, np.minimum(found.ends, starts + _LONGEST_TOKEN)),
        ends=np.searchsorted(starts, found.line_ends),
        is_shouted=found.is_capital[starts] & found.is_capital[starts + 1],  # a newline follows the last word
        exclamations=found.exclamations,
        hashtags=found.hashtags,
    )


def read_words(text: str) -> list[str]:
    """The words of a text as `hash_words` sees them, in a readable form."""
    found = _find_words(pl.Series([text]))
    spans = zip(found.starts.tolist(), found.ends.tolist(), strict=True)
    return [found.buffer[start:end].tobytes().decode("utf-8", "replace") for start, end in spans]


class Features(NamedTuple):
    """What a model sees of a batch of texts. Each row has a separator and then its words: positions."""

    ngrams: np.ndarray
    """int32, shape (positions, 4), each below 2**ngram_bits: buckets of the n-grams of one, two and three words that begin
    at the position, and of the first and third of these words without the second."""
    words: np.ndarray
    """int32, shape (positions,), each below 2**word_bits: bucket of the word, for the vocabulary."""
    offsets: np.ndarray
    """int64, shape (rows + 1,): the positions of row i are those from `offsets[i]` to `offsets[i + 1]`; the first of them
    is its separator."""
    hashes: np.ndarray
    """uint64, shape (positions,): the word itself, for the lexicon."""
    is_shouted: np.ndarray
    """bool, shape (positions,): the word begins with two capitals."""
    exclamations: np.ndarray
    """int64, shape (rows,): exclamation marks of the text."""
    hashtags: np.ndarray
    """int64, shape (rows,): hashtags of the text."""

    def rows(self, first: int, last: int) -> Features:
        """The features of rows `first` to `last`, without a copy of the large arrays."""
        begin, end = self.offsets[first], self.offsets[last]
        return Features(
            ngrams=self.ngrams[begin:end],
            words=self.words[begin:end],
            offsets=self.offsets[first : last + 1] - begin,
            hashes=self.hashes[begin:end],
            is_shouted=self.is_shouted[begin:end],
            exclamations=self.exclamations[first:last],
            hashtags=self.hashtags[first:last],
        )


def extract(texts: pl.Series, config: FeatureConfig) -> Features:
    """Hash the words and n-grams of every text into buckets.

    Args:
        texts: String, shape (rows,), without nulls.
    """
    count_rows = len(texts)
    if count_rows == 0:
        return Features(
            ngrams=np.empty((0, NGRAMS_PER_POSITION), dtype=np.int32),
            words=np.empty(0, dtype=np.int32),
            offsets=np.zeros(1, dtype=np.int64),
            hashes=np.empty(0, dtype=np.uint64),
            is_shouted=np.empty(0, dtype=bool),
            exclamations=np.empty(0, dtype=np.int64),
            hashtags=np.empty(0, dtype=np.int64),
        )
    return features_of(hash_words(texts), config)


def features_of(words: Words, config: FeatureConfig) -> Features:
    """The features of texts whose words are hashed already; at least one text."""
    count_rows = len(words.ends)
    count_positions = len(words.hashes) + count_rows
    separators = np.concatenate([[0], words.ends[:-1]]) + np.arange(count_rows)
    padded = np.full(count_positions + 2, _SEPARATOR, dtype=np.uint64)
    is_word = np.ones(len(padded), dtype=bool)
    is_word[separators] = False
    is_word[count_positions:] = False
    padded[is_word] = words.hashes
    is_shouted = np.zeros(count_positions, dtype=bool)
    is_shouted[is_word[:count_positions]] = words.is_shouted
    first, second = padded[:-2], padded[1:-1]
    third = padded[2:].copy()
    third[separators[1:] - 1] = _SEPARATOR  # else the next row's first word would follow a row's last one
    ngrams = np.empty((count_positions, NGRAMS_PER_POSITION), dtype=np.int32)
    shift = np.uint64(64 - config.ngram_bits)
    one = first * MULTIPLIER
    ngrams[:, 0] = one >> shift
    two = (one * _MULTIPLIER_B + second) * MULTIPLIER
    ngrams[:, 1] = two >> shift
    ngrams[:, 2] = ((two * _MULTIPLIER_B + third) * MULTIPLIER) >> shift
    ngrams[:, 3] = ((one * _MULTIPLIER_C + third) * MULTIPLIER) >> shift
    offsets = np.append(separators, count_positions)
    return Features(
        ngrams,
        word_buckets(first, config.word_bits),
        offsets,
        first,
        is_shouted,
        words.exclamations,
        words.hashtags,
    )


def word_buckets(hashes: np.ndarray, bits: int, number: int = 0) -> np.ndarray:
    """The buckets of words by the hash function of this number: uint64 hashes to int32 below 2**bits, shape kept."""
    multiplier = np.uint64(pow(int(MULTIPLIER), number + 1, 1 << 64))
    buckets: np.ndarray = ((hashes * multiplier) >> np.uint64(64 - bits)).astype(np.int32)
    return buckets
