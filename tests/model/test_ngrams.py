"""N-grams know which words they consist of, up to the end of their row."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from sentiment.model.ngrams import max_over_words, zero_ngrams_with

ROWS = st.lists(st.lists(st.booleans(), max_size=5), min_size=1, max_size=6)


def batch_of(rows: list[list[bool]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Which positions are marked, separators in front of each row, and the rows' offsets."""
    marked = torch.tensor([is_marked for row in rows for is_marked in (False, *row)])
    return marked, torch.tensor([0, *(1 + len(row) for row in rows)]).cumsum(0)


def test_an_ngram_has_the_largest_value_of_its_words() -> None:
    marked, offsets = batch_of([[True, False, True], [True]])
    values = max_over_words(marked * torch.arange(1.0, 7.0), offsets)
    assert values.tolist() == [[0, 2, 2, 0], [2, 2, 4, 4], [0, 4, 4, 0], [4, 4, 4, 4], [0, 6, 6, 0], [6, 6, 6, 6]]


@given(ROWS)
def test_the_ngrams_with_some_words_are_those_whose_largest_mark_is_one(rows: list[list[bool]]) -> None:
    marked, offsets = batch_of(rows)
    words = marked.nonzero()[:, 0]
    weights = torch.ones(len(marked), 4)
    zero_ngrams_with(weights, words, offsets)
    assert torch.equal(weights == 0, max_over_words(marked.float(), offsets) > 0)
