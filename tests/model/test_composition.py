"""Where composition decides what words mean, what was learnt of them one by one counts less."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment.model.features import FeatureConfig, extract
from sentiment.model.lexicon import Lexicon, Reading

LEXICON = Lexicon.shipped()
COMPOSING = [
    *(
        "not",
        "no",
        "nor",
        "neither",
        "or",
        "could",
        "never",
        "so",
        "more",
        "less",
        "than",
        "as",
        "too",
        "to",
        "for",
        "though",
    ),
    *(
        "although",
        "even",
        "cant",
        "enough",
        "but",
        "good",
        "bad",
        "better",
        "worse",
        "place",
        ",",
        "?",
        "wish",
        "it",
        "used",
    ),
    *("would", "have", "nobody"),
]


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


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("neither ugly nor boring", 1),
        ("neither nice nor useful", -1),
        ("not good or useful", -1),
        ("it was not really such a very good idea", -1),
        ("nobody in there was ever friendly", -1),
        ("none of it was ugly", 1),
        ("wouldnt call it a great success", -1),
        ("it used to be a nice place", -1),
        ("it would have been lovely", -1),
        ("wish it was nice", -1),
        ("could be better", -1),
        ("could have been worse", 1),
        ("could not be better", 1),
        ("my old phone was better", -1),
        ("better than my old phone", 1),
        ("could be more helpful", -1),
        ("never been so happy", 1),
        ("never happy", -1),
        ("nothing is more annoying", -1),
        ("there is no better place", 1),
        ("he is no better than", -1),
        ("not as good as the great one", -1),
        ("not as bad as the awful one", 1),
        ("too tired to enjoy it", -1),
        ("too good to miss", 1),
        ("i like it less", -1),
        ("i hate it less than before", 1),
        ("cant praise it enough", 1),
        ("cannot buy good enough shoes", -1),
        ("the plot is silly , loved it though", 1),
        ("loved the cast , it was boring though", -1),
        ("although it was awful we had a great time", 1),
        ("devoid of charm", -1),
        ("never fails to make me smile", 1),
        ("nothing but good news", 1),
    ],
)
def test_constructions_turn_what_their_words_mean(text: str, sign: int) -> None:
    found = float(read(text).scores[0])
    assert found * sign > 0.05


def test_constructions_do_not_reach_into_the_next_row() -> None:
    texts = [
        "it was not good",
        "or bad",
        "as",
        "good as",
        "too much",
        "to enjoy",
        "could",
        "better",
        "loved it though",
        "cant",
        "enough",
    ]
    np.testing.assert_allclose(read(*texts).scores, [read(text).scores[0] for text in texts], atol=1e-6)


@given(st.lists(st.lists(st.sampled_from(COMPOSING), max_size=8), min_size=1, max_size=6))
def test_any_words_of_constructions_read_the_same_in_any_batch(rows: list[list[str]]) -> None:
    texts = [" ".join(row) for row in rows]
    together, alone = read(*texts), [read(text) for text in texts]
    np.testing.assert_allclose(together.scores, [one.scores[0] for one in alone], atol=1e-6)
    assert together.learnt.tolist() == [value for one in alone for value in one.learnt.tolist()]
    assert together.clause_weights.tolist() == [value for one in alone for value in one.clause_weights.tolist()]


@pytest.mark.parametrize(
    "text",
    ["no better place", "as good as it was awful", "too good to miss", "i like it less", "not all that really good"],
)
def test_models_of_before_read_no_constructions(text: str) -> None:
    before = Lexicon(LEXICON.config.model_copy(update={"rules": "valence-v3"}))
    before.load_state_dict(LEXICON.state_dict())
    features = extract(pl.Series([text]), FeatureConfig())
    assert before.read(features).scores[0] != LEXICON.read(features).scores[0]
