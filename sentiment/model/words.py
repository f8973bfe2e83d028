"""Splits tweets into words and hashes them, in one compiled pass over the raw bytes of a whole batch.

A saved model must see the same words on every machine and library version. So nothing here depends on what a regular
expression or a library takes for a letter: a table of 256 entries classifies bytes, and every rule is arithmetic on bytes.
Bytes over 127 count as letters, so words of any script are tokens without a Unicode table.

The rules, in order: links are removed; emoticons and emoji become words (`symbols`); ASCII letters become lower case;
apostrophes are removed (don't = dont); three or more of the same byte in a row become two (sooooo = soo); runs of letters
and digits are words; words after an `@` are removed, because who is mentioned is a shortcut to the label in this data and
no sentiment; runs of one punctuation mark are words, except `#`, so that a hashtag is its word.

Costs about 0.7 microseconds a tweet on one core, half of them in polars, without the interpreter lock, so that threads help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl

from . import hashing
from .compilation import compiled
from .symbols import in_python, spell_out, spell_out_one

_OTHER, _WORD, _AT, _FIRST_MARK = 0, 1, 2, 3
_MARKS = b'!"$%&()*+,-./:;<=>?[\\]^`{|}~'
_NEWLINE, _APOSTROPHE, _EXCLAMATION, _HASH = np.frombuffer(b"\n'!#", dtype=np.uint8)
_LINK = r"(?:[hH][tT][tT][pP][sS]?://|[wW][wW][wW]\.)[^ \t\r\n]*"
_LINK_IN_PYTHON = in_python(_LINK)
_FEW_ROWS, _FEW_CHARACTERS = 100, 10_000
_LONGEST_TOKEN = 64
_HASH_MULTIPLIER = np.uint64(hashing.MULTIPLIER)
_ONE = np.uint64(1)
mix_compiled: Callable[[np.uint64], np.uint64] = cast(Any, compiled(hashing.mix))


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


class _Spans(NamedTuple):
    """Where words are in a buffer of the bytes that count."""

    buffer: np.ndarray
    """uint8, shape (bytes,)."""
    starts: np.ndarray
    """int64, shape (words,)."""
    ends: np.ndarray
    """int64, shape (words,)."""


def hash_words(texts: pl.Series) -> Words:
    """Split texts into words and hash each word.

    Args:
        texts: String, shape (rows,), without nulls.
    """
    written, line_ends = _join_lines(texts)
    return _find_words(written, line_ends, _room_for_spans(len(written), 0))


def read_words(text: str) -> list[str]:
    """The words of a text as `hash_words` sees them, in a readable form."""
    written, line_ends = _join_lines(pl.Series([text]))
    spans = _room_for_spans(len(written), len(written))
    count = len(_find_words(written, line_ends, spans).hashes)
    pairs = zip(spans.starts[:count].tolist(), spans.ends[:count].tolist(), strict=True)
    return [spans.buffer[start:end].tobytes().decode("utf-8", "replace") for start, end in pairs]


def _room_for_spans(count_bytes: int, count_words: int) -> _Spans:
    starts, ends = np.empty((2, count_words), dtype=np.int64)
    return _Spans(np.empty(count_bytes, dtype=np.uint8), starts, ends)


def _find_words(written: np.ndarray, line_ends: np.ndarray, spans: _Spans) -> Words:
    most, count_rows = len(written), len(line_ends)
    words = Words(
        hashes=np.empty(most, dtype=np.uint64),  # room for a word a byte; what is not written takes no memory
        ends=np.empty(count_rows, dtype=np.int64),
        is_shouted=np.empty(most, dtype=bool),
        exclamations=np.empty(count_rows, dtype=np.int64),
        hashtags=np.empty(count_rows, dtype=np.int64),
    )
    count = _split_and_hash(written, line_ends, words, spans)
    return words._replace(hashes=words.hashes[:count], is_shouted=words.is_shouted[:count])


def _join_lines(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of texts without links and with symbols spelt out, each ended by a newline, and the positions of these newlines."""
    rows = texts.to_list() if len(texts) <= _FEW_ROWS else None
    if rows is not None and sum(map(len, rows)) <= _FEW_CHARACTERS:
        # A column's operations cost 0.1 ms each, at any length, and wake other threads.
        encoded = [spell_out_one(_LINK_IN_PYTHON.sub(" ", text)).encode() for text in rows]
        joined = b"\n".join([*encoded, b""])
        lengths = np.array([len(line) for line in encoded], dtype=np.int64)
    else:
        lines = spell_out(texts.str.replace_all(_LINK, " "))
        joined = lines.str.join("\n").cast(pl.Binary)[0] + b"\n"
        lengths = lines.str.len_bytes().to_numpy().astype(np.int64)
    return np.frombuffer(joined, dtype=np.uint8), np.cumsum(lengths + 1) - 1


@compiled
def _split_and_hash(written: np.ndarray, line_ends: np.ndarray, words: Words, spans: _Spans) -> int:
    """Write words, and spans where there is room for them; returns how many words there are."""
    count = size = begin = first = 0
    for row in range(len(line_ends)):
        before, kind, capitals, exclamations, hashtags = _OTHER, _OTHER, 0, 0, 0
        byte = past = _NEWLINE
        for place in range(first, line_ends[row] + 1):
            beyond, past, byte = past, byte, _LOWER[written[place]]
            exclamations += byte == _EXCLAMATION
            if byte == _HASH:
                hashtags += _KINDS[_LOWER[written[place + 1]]] == _WORD
            if byte == _APOSTROPHE or (byte == past and byte == beyond):
                continue
            if _KINDS[byte] != kind:  # as at a line's end
                if kind >= _FIRST_MARK or (kind == _WORD and before != _AT):
                    if count < len(spans.starts):
                        spans.starts[count], spans.ends[count] = begin, size
                    words.hashes[count] = _hash_span(spans.buffer, begin, size)
                    words.is_shouted[count] = capitals == 2
                    count += 1
                before, kind, begin, capitals = kind, _KINDS[byte], size, 0
            if size < begin + 2:
                capitals += byte != written[place]
            spans.buffer[size] = byte
            size += 1
        words.ends[row], words.exclamations[row], words.hashtags[row] = count, exclamations, hashtags
        first = line_ends[row] + 1
    return count


@compiled
def _hash_span(buffer: np.ndarray, start: int, end: int) -> np.uint64:
    """`hashing.hash_spans` of a word's first 64 bytes."""
    total, power = np.uint64(0), _ONE
    for place in range(start, min(end, start + _LONGEST_TOKEN)):
        total += (np.uint64(buffer[place]) + _ONE) * power
        power *= _HASH_MULTIPLIER
    return mix_compiled(total)
