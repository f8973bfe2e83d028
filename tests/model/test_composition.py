"""Where composition decides what words mean, what was learnt of them one by one counts less."""

from __future__ import annotations

import polars as pl
import pytest

from sentiment.model.features import FeatureConfig, extract
from sentiment.model.lexicon import Lexicon, Reading

LEXICON = Lexicon.shipped()


def read(*texts: str) -> Reading:
    return LEXICON.read(extract(pl.Series(texts), FeatureConfig()))


@pytest.mark.parametrize(
    ("text", "learnt"),
    [
        ("a long day", [1, 1, 1]),
        ("not good", [1, 1]),  # what was learnt of a negated praise is reversed instead
        ("it was not ugly", [0.25, 0.25, 0, 0]),
        ("fine . it was not ugly . bye", [1, 1, 0.25, 0.25, 0, 0, 1, 1]),
        ("tired but not ugly", [1, 1, 0, 0]),
        ("dont know why", [1, 1, 1]),  # `why` is hardly a complaint
        ("so good", [0, 1]),
        ("so we went", [1, 1, 1]),
        ("better than i hoped , phew", [1, 0, 0, 0, 1, 1]),
        ("she is here 😀", [0, 1, 1, 0]),
    ],
)
def test_how_much_of_what_was_learnt_counts(text: str, learnt: list[float]) -> None:
    assert read(text).learnt[1:].tolist() == learnt


def test_exclamation_marks_do_not_speak_against_a_complaint() -> None:
    assert read("it is bad !").exclamations_against.tolist() == [4]
    assert len(read("it is good !").exclamations_against) == 0
    assert len(read("it is !").exclamations_against) == 0


def test_clauses_end_with_their_row() -> None:
    texts = ("worse than", "i hoped", "not ugly", "at all")
    assert read(*texts).learnt.tolist() == [value for text in texts for value in read(text).learnt.tolist()]
