"""Which lines are whole records by themselves, found on the bytes of a block.

Most tables quote every field or hardly any. In both, the places of quotes and delimiters tell for a whole block at once
which lines are records; a pattern, ten times as slow, has to look at the others alone.
"""

from __future__ import annotations

import numpy as np

from sentiment.ingest.readers.dialect import Dialect
from sentiment.ingest.text import decode

# Above this share of lines with letters beyond ASCII a block is decoded as a whole.
_MOST_LINES_ALONE = 0.25


def as_utf8_lines(data: bytes, ends: np.ndarray) -> tuple[bytes, np.ndarray, np.ndarray]:
    """The lines of a block in UTF-8.

    Returns:
        The bytes; where each line ends in them, int64; and which lines were changed, both of shape (lines,).
    """
    unchanged = np.zeros(len(ends), dtype=bool)
    if data.isascii():
        return data, ends, unchanged
    high = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) >= 0x80)
    found = np.unique(np.searchsorted(ends, high, side="right"))
    if len(found) > _MOST_LINES_ALONE * len(ends) and _is_utf8(data):
        return data, ends, unchanged
    parts, at = [], 0
    lengths = np.diff(ends, prepend=0)
    for index in found.tolist():
        start, end = int(ends[index] - lengths[index]), int(ends[index])
        line = data[start:end]
        if _is_utf8(line):
            continue
        clean = decode(line).encode()
        parts += [data[at:start], clean]
        at = end
        unchanged[index] = True
        lengths[index] = len(clean)
    if not parts:
        return data, ends, unchanged
    return b"".join([*parts, data[at:]]), np.cumsum(lengths), unchanged


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def find_whole_lines(data: bytes, ends: np.ndarray, dialect: Dialect) -> tuple[np.ndarray, np.ndarray]:
    """Which lines are surely records of a dialect of several columns, and which only a pattern can tell.

    Args:
        data: whole lines in UTF-8, the last perhaps without a line break.
        ends: where each line ends, behind its line break.

    Returns:
        Both bool, shape (lines,). A line of neither kind has no quotes that count and another number of columns.
    """
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]])
    letters = np.frombuffer(data, dtype=np.uint8)
    if dialect.is_quoted:
        quotes = np.flatnonzero(letters == ord('"'))
        first = np.searchsorted(quotes, starts)
        count_quotes = np.diff(first, append=len(quotes))
        is_bare = count_quotes == 0
        # Behind a backslash a quote closes nothing.
        rows = np.flatnonzero(count_quotes == 2 * dialect.count_columns) if not dialect.has_escapes else starts[:0]
        is_whole = np.zeros(len(ends), dtype=bool)
        places = quotes[first[rows, None] + np.arange(2 * dialect.count_columns)]
        is_whole[rows] = _are_enclosed(letters, places, starts[rows], ends[rows], dialect.delimiter)
    else:
        is_bare, is_whole = np.ones(len(ends), dtype=bool), np.zeros(len(ends), dtype=bool)
    if is_bare.any():
        delimiters = np.flatnonzero(letters == ord(dialect.delimiter))
        count_delimiters = np.diff(np.searchsorted(delimiters, starts), append=len(delimiters))
        is_whole |= is_bare & (count_delimiters == dialect.count_columns - 1)
    return is_whole, ~is_bare & ~is_whole


def _are_enclosed(
    letters: np.ndarray, quotes: np.ndarray, starts: np.ndarray, ends: np.ndarray, delimiter: str
) -> np.ndarray:
    """Whether quotes, of shape (lines, 2 * columns), are the first and last letter of each field: bool, shape (lines,)."""
    if not len(quotes):
        return np.zeros(0, dtype=bool)
    ends = ends - (letters[ends - 1] == ord("\n"))
    ends -= letters[ends - 1] == ord("\r")
    opens, closes = quotes[:, ::2], quotes[:, 1::2]
    is_between = (opens[:, 1:] - closes[:, :-1] == 2) & (letters[closes[:, :-1] + 1] == ord(delimiter))
    return (opens[:, 0] == starts) & (closes[:, -1] == ends - 1) & is_between.all(axis=1)
