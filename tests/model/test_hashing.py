"""The hash never changes: its values are written down here, and do not depend on how a column is cut."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment.model import hashing

RELEASED = [0, 17508005127702757215, 4162152050668450670, 7643048962877823945]


def reference(data: bytes) -> int:
    """The definition, one byte at a time."""
    mask, value, power = (1 << 64) - 1, 0, 1
    for byte in data:
        value = (value + (byte + 1) * power) & mask
        power = power * 0x9E3779B97F4A7C55 & mask
    value ^= value >> 30
    value = value * 0xBF58476D1CE4E5B9 & mask
    value ^= value >> 27
    value = value * 0x94D049BB133111EB & mask
    return value ^ (value >> 31)


def test_values_are_those_of_the_first_release() -> None:
    assert hashing.hash_strings(pl.Series(["", "a", "good morning", "😀"])).tolist() == RELEASED


@given(st.lists(st.text(max_size=40), max_size=20))
def test_every_string_hashes_as_defined_whatever_stands_beside_it(strings: list[str]) -> None:
    column = pl.Series(strings, dtype=pl.String)
    assert hashing.hash_strings(column).tolist() == [reference(string.encode()) for string in strings]


def test_columns_longer_than_one_piece_hash_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    strings = pl.Series([f"tweet {number} " * (number % 7) for number in range(200)])
    whole = hashing.hash_strings(strings)
    monkeypatch.setattr(hashing, "_TABLE_LENGTH", 16)
    assert np.array_equal(hashing.hash_strings(strings), whole)


def test_equal_texts_apart_from_leading_bytes_hash_differently() -> None:
    hashes = hashing.hash_strings(pl.Series(["\x00", "\x00\x00", "", "a\x00", "a"]))
    assert len(set(hashes.tolist())) == 5


def test_an_empty_column_has_no_hashes() -> None:
    assert hashing.hash_strings(pl.Series([], dtype=pl.String)).shape == (0,)
