"""The lexicon knows words, and what words do to others; a row's score does not depend on its neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sentiment.model.batch import Batch
from sentiment.model.classifier import SentimentModel
from sentiment.model.config import ModelConfig
from sentiment.model.features import FeatureConfig, extract
from sentiment.model.lexicon import Lexicon, Reading

LEXICON = Lexicon.shipped()


def read(*texts: str) -> Reading:
    return LEXICON.read(extract(pl.Series(texts, dtype=pl.String), FeatureConfig()))


def score(text: str) -> float:
    return float(read(text).scores[0])


@pytest.mark.parametrize(
    ("rule", "higher", "lower"),
    [
        ("good is better than bad", "good", "bad"),
        ("negation flips", "good", "not good"),
        ("negation reaches over two words", "is good", "isnt that very good"),
        ("negation of bad is better than bad", "not a bad phone", "a bad phone"),
        ("two negations are none", "never not good", "never good"),
        ("a negation ends with its clause", "no, good", "no good"),
        ("health care is no praise", "love and care", "health care"),
        ("sold out is bad news", "sold", "sold out"),
        ("intensifiers intensify", "very good", "good"),
        ("and make bad worse", "bad", "really bad"),
        ("dampeners dampen", "good", "kinda good"),
        ("capitals shout", "GOOD stuff", "good stuff"),
        ("exclamation marks do too", "good!!", "good"),
        ("and make bad worse", "bad", "bad!!"),
        ("what follows but counts more", "slow but good", "good but slow"),
        ("stretched words are words", "sooo goood", "table"),
        ("emoticons", ":)", ":("),
        ("emoji", "😍", "💔"),
        ("a phrase is not its words", "cant wait", "wait"),
        ("a phrase is not its words", "good luck", "fed up"),
        ("negation alone is bad news", "it works", "it doesnt work"),
        ("a modifier counts alone", "phone", "damn"),
        ("but not before what it modifies", "damn good", "damn"),
        ("less reverses", "less annoying", "annoying"),
        ("in both directions", "fun", "less fun"),
        ("what a comparison is with counts less", "better than the awful one", "worse than the great one"),
        ("a negated comparison with everything is the highest praise", "never been better", "table"),
        ("or complaint", "table", "nothing is worse"),
        ("a negated comparison with one thing is not", "table", "it is not better"),
        ("a negation of thought reaches its clause", "table", "i dont think the new phone is good"),
        ("other negations end before", "i didnt hear that the phone is good", "table"),
        ("a question asks for agreement", "isnt it lovely?", "table"),
        ("so does one by who", "who doesnt love it?", "table"),
        ("a statement does not", "table", "it isnt lovely"),
        ("nor does a question that wants to know why", "table", "why isnt it lovely?"),
        ("surprise is no negation", "table", "cant believe how bad"),
        ("no as an answer is none", "table", "no it sucks"),
        ("an interjection is not negated", "table", "not today unfortunately"),
        ("a word of degree has no direction", "table", "pretty awful"),
        ("yet turns", "slow yet good", "good yet slow"),
    ],
)
def test_rules(rule: str, higher: str, lower: str) -> None:
    assert score(higher) > score(lower) + 0.01, rule


def test_text_in_capitals_throughout_does_not_shout() -> None:
    assert score("GOOD STUFF") == score("good stuff")


def test_what_the_lexicon_does_not_know_says_nothing() -> None:
    reading = read("the table", "", "@someone http://x.y")
    assert reading.scores.tolist() == [0, 0, 0]
    assert not reading.is_known.any()


def test_words_of_value_and_modifiers_are_known() -> None:
    assert read("the very good table").is_known.tolist() == [False, False, True, True, False]


def test_words_of_one_row_do_not_change_the_next() -> None:
    assert read("that is not", "good").scores[1] == read("good").scores[0]
    assert read("cant", "wait").scores[1] == read("wait").scores[0]


WORDS = ["not", "very", "GOOD", "bad", "but", "cant", "wait", "no", "damn", "😀", ":(", "!!", "kinda", "table"]
TEXTS = st.lists(st.sampled_from(WORDS))


@given(st.lists(TEXTS.map(" ".join) | st.text(max_size=40), min_size=1, max_size=8))
def test_a_row_scores_the_same_alone_and_is_the_sum_of_its_contributions(texts: list[str]) -> None:
    reading = read(*texts)
    assert np.all(np.abs(reading.scores) < 1)
    offsets = extract(pl.Series(texts, dtype=pl.String), FeatureConfig()).offsets
    rows = np.searchsorted(offsets, reading.positions, side="right") - 1
    sums = np.bincount(rows, weights=reading.contributions, minlength=len(texts)) + reading.exclamations
    np.testing.assert_allclose(sums, reading.scores, atol=1e-6)
    for text, expected in zip(texts, reading.scores, strict=True):
        assert read(text).scores[0] == expected


def test_no_texts_have_no_scores() -> None:
    reading = LEXICON.read(extract(pl.Series([], dtype=pl.String), FeatureConfig()))
    assert reading.scores.shape == (0,)


def test_a_saved_model_carries_its_lexicon_and_the_licence(tmp_path: Path) -> None:
    config = ModelConfig(features=FeatureConfig(ngram_bits=4), lexicon=LEXICON.config, lexicon_weight=1.0)
    model = SentimentModel(config)
    model.lexicon = LEXICON
    model.save(tmp_path)
    loaded = SentimentModel.load(tmp_path)
    assert np.array_equal(loaded.predict_probability(["good", "bad"]), model.predict_probability(["good", "bad"]))
    assert loaded.predict_probability(["good", "bad"]) == pytest.approx([0.61, 0.37], abs=0.01)
    assert "Copyright (c) 2016 C.J. Hutto" in (tmp_path / "config.json").read_text()
    assert "Permission is hereby granted" in (tmp_path / "config.json").read_text()


@pytest.fixture(scope="module")
def learnt() -> SentimentModel:
    """Has learnt by chance what each n-gram means."""
    config = ModelConfig(features=FeatureConfig(ngram_bits=12), lexicon=LEXICON.config, lexicon_weight=1.0)
    model = SentimentModel(config)
    model.lexicon = LEXICON
    model.ngrams.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    return model


def of_ngrams(model: SentimentModel, *texts: str) -> np.ndarray:
    return model.predict_part_logits(list(texts))[:, 0]


def contributions(model: SentimentModel, text: str) -> tuple[np.ndarray, np.ndarray]:
    """What each n-gram adds, without and with the lexicon's rules."""
    assert model.lexicon is not None
    batch = Batch.of(extract(pl.Series([text]), model.config.features))
    weights = model.word_weights(batch, model.lexicon.read(batch.features), model.config)
    with torch.inference_mode():
        return model.ngrams.contributions(batch).numpy(), model.ngrams.contributions(batch, weights.ngrams).numpy()


def test_what_was_learnt_does_not_depend_on_the_neighbours_either(learnt: SentimentModel) -> None:
    texts = ["so good", "😍 not bad", "it was bad, but fine", ":( although nice, no", "x", "", "😭😭"]
    alone = np.concatenate([of_ngrams(learnt, text) for text in texts])
    np.testing.assert_allclose(of_ngrams(learnt, *texts), alone, atol=1e-5)
    np.testing.assert_allclose(of_ngrams(learnt, *texts[::-1]), alone[::-1], atol=1e-5)


def test_nothing_is_learnt_of_emoticons_and_emoji(learnt: SentimentModel) -> None:
    first, second = of_ngrams(learnt, "at home 😍 now", "at home 😭 now")
    assert first == pytest.approx(second)


def test_a_negated_word_means_the_opposite_in_what_was_learnt_too(learnt: SentimentModel) -> None:
    before, after = contributions(learnt, "isnt that good")
    np.testing.assert_allclose(after[3], before[3] * np.float32(-0.74), rtol=1e-5)


def by_rules(learnt: SentimentModel, rules: str) -> SentimentModel:
    rules_before = LEXICON.config.model_copy(update={"rules": rules})
    old = SentimentModel(learnt.config.model_copy(update={"lexicon": rules_before, "oov_discount": 0.0}))
    old.lexicon = Lexicon(rules_before)
    old.lexicon.load_state_dict(LEXICON.state_dict())
    old.ngrams.load_state_dict(learnt.ngrams.state_dict())
    return old


def test_by_the_first_rules_all_that_was_learnt_counts(learnt: SentimentModel) -> None:
    before, after = contributions(by_rules(learnt, "valence-v1"), "at home 😍 but not bad")
    np.testing.assert_array_equal(after, before)


def test_by_the_second_rules_negated_complaints_are_reversed(learnt: SentimentModel) -> None:
    before, after = contributions(by_rules(learnt, "valence-v2"), "table not an ugly phone !")
    factors = np.ones((7, 4))
    factors[4] = -0.74
    np.testing.assert_allclose(after, before * factors, rtol=1e-5)


def test_by_todays_rules_negated_complaints_are_left_to_the_lexicon(learnt: SentimentModel) -> None:
    before, after = contributions(learnt, "table not an ugly phone")
    ignored, rest = [2, 4], [0, 1, 3, 5]
    np.testing.assert_array_equal(after[ignored], 0)
    np.testing.assert_allclose(after[rest, 0], before[rest, 0] / 4, rtol=1e-5)
    assert after[1, 1] == 0, "an n-gram with a word that does not count does not count"
    _, by_clause = contributions(learnt, "so happy , not ugly")
    assert by_clause[2, 0] == pytest.approx(contributions(learnt, "so happy")[0][2, 0]), "another clause counts in full"
