"""Rows of a file as a matrix of fragment numbers, and the fragments as one buffer of bytes.

A generated file is put together from some hundred thousand short byte strings: words with their leading blank, their
misspelt, elongated and shouted variants, digits of ids, days, quotes between columns. A chunk of rows is an integer
matrix (rows, columns) with 0 for "nothing here"; every choice a tweet makes is arithmetic on whole columns, a variant
is a look-up, and `render` copies all bytes in a handful of numpy passes: some nanoseconds a byte and no Python object
per tweet.

Each fragment carries bits for the traits that it brings into a row (an entity, a stray byte, a tab ...), so that the
traits of the rows really written can be counted exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np

# A row has a trait when one of its fragments matches: no trait may straddle two fragments.
TRAITS: dict[str, re.Pattern[bytes]] = {
    "amp": re.compile(rb"&amp;"),
    "quot": re.compile(rb"&quot;"),
    "lt": re.compile(rb"&lt;"),
    "heart": re.compile(rb"&lt;3"),
    "gt": re.compile(rb"&gt;"),
    "escaped_twice": re.compile(rb"&amp;(?:amp|quot|lt|gt);"),
    "non_ascii": re.compile(rb"[\x80-\xff]"),
    "c1": re.compile(rb"[\x80-\x9f]"),
    "del": re.compile(rb"\x7f"),
    "tab": re.compile(rb"\t"),
    "nbsp": re.compile(rb"\xc2\xa0"),
    "mention": re.compile(rb"@"),
    "link": re.compile(rb"http://"),
    "hashtag": re.compile(rb"#\w"),
}
_DAMAGED = "damaged_utf8"
TRAIT_NAMES = (*TRAITS, _DAMAGED)
# What a fragment with any trait holds; nearly none does.
_UNUSUAL = re.compile(rb"[&@#:\t\x7f-\xff]")


def _traits(fragment: bytes) -> int:
    if not _UNUSUAL.search(fragment):
        return 0
    bits = sum(1 << bit for bit, pattern in enumerate(TRAITS.values()) if pattern.search(fragment))
    return bits if _is_utf8(fragment) else bits | 1 << len(TRAITS)


def _is_utf8(fragment: bytes) -> bool:
    try:
        fragment.decode()
    except UnicodeDecodeError:
        return False
    return True


class FragmentTable:
    """Fragments by number; number 0 is the empty one. Add everything, then `freeze`, then `render`."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {b"": 0}
        self._buffer = np.empty(0, dtype=np.uint8)
        self._starts = np.empty(0, dtype=np.int64)
        self._lengths = np.empty(0, dtype=np.int64)
        self._traits = np.empty(0, dtype=np.uint32)

    def add(self, fragment: str | bytes) -> int:
        """Number of a fragment, which is added when it is new."""
        encoded = fragment.encode() if isinstance(fragment, str) else fragment
        return self._numbers.setdefault(encoded, len(self._numbers))

    def add_all(self, fragments: Iterable[str | bytes]) -> np.ndarray:
        """Numbers of several fragments: int32, shape (fragments,)."""
        return np.fromiter((self.add(fragment) for fragment in fragments), dtype=np.int32)

    def variants(self, *changes: Callable[[bytes], bytes]) -> np.ndarray:
        """Look-ups from every fragment known so far to its changed forms: int32, shape (changes, fragments)."""
        known = list(self._numbers)
        return np.stack([self.add_all(map(change, known)) for change in changes])

    def copy(self) -> FragmentTable:
        """A table with the same fragments under the same numbers, to which others can be added."""
        table = FragmentTable()
        table._numbers = self._numbers.copy()
        table._traits = self._traits
        return table

    def freeze(self) -> None:
        """Lay all fragments out for rendering."""
        fragments = list(self._numbers)
        self._buffer = np.frombuffer(b"".join(fragments), dtype=np.uint8)
        self._lengths = np.fromiter(map(len, fragments), dtype=np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        new = fragments[len(self._traits) :]
        self._traits = np.concatenate([self._traits, np.fromiter(map(_traits, new), dtype=np.uint32)])

    def lengths(self, numbers: np.ndarray) -> np.ndarray:
        """Bytes of each row of a matrix (rows, columns): int64, shape (rows,)."""
        lengths: np.ndarray = self._lengths[numbers].sum(axis=1)
        return lengths

    def count_traits(self, numbers: np.ndarray) -> dict[str, int]:
        """How many rows of a matrix (rows, columns) have each trait."""
        bits = np.bitwise_or.reduce(self._traits[numbers], axis=1)
        return {name: int((bits >> np.uint32(bit) & np.uint32(1)).sum()) for bit, name in enumerate(TRAIT_NAMES)}

    def render(self, numbers: np.ndarray) -> bytes:
        """The bytes of a matrix (rows, columns), row after row."""
        chosen = numbers[numbers != 0]
        lengths = self._lengths[chosen]
        ends = np.cumsum(lengths)
        positions = np.repeat(self._starts[chosen] - (ends - lengths), lengths)
        positions += np.arange(len(positions))
        rendered: bytes = self._buffer[positions].tobytes()
        return rendered
