"""Which texts are neutral: by the mood that they show, not by their length; labels of a user's own count."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from sentiment.model.classifier import SentimentModel
from sentiment.model.config import ModelConfig
from sentiment.model.features import FeatureConfig
from sentiment.model.lexicon import Lexicon
from sentiment.model.neutral import LABELS, NeutralRule, Prediction
from sentiment.training.neutrality import FEWEST_NEUTRAL, fit_neutral


@pytest.fixture(scope="module")
def model() -> SentimentModel:
    """Knows what the lexicon knows, and has learnt nothing."""
    lexicon = Lexicon.shipped()
    config = ModelConfig(features=FeatureConfig(ngram_bits=10), lexicon=lexicon.config, lexicon_weight=4.0)
    model = SentimentModel(config)
    model.lexicon = lexicon
    return model


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("", "neutral"),
        ("http://example.com/a www.example.com", "neutral"),
        ("the train to york leaves at nine from platform four", "neutral"),
        ("el tren sale a las nueve", "neutral"),
        ("i love this song", "positive"),
        ("this phone is terrible", "negative"),
        ("good food but horribly slow service, awful", "negative"),
    ],
)
def test_a_text_without_mood_is_neutral(model: SentimentModel, text: str, label: str) -> None:
    assert model.predict([text]).labels().tolist() == [label]


def test_length_alone_changes_nothing(model: SentimentModel) -> None:
    short, long = model.predict(["on the table", "on the table " * 40]).probability_neutral
    assert short == pytest.approx(long)


def test_with_two_labels_none_is_neutral(model: SentimentModel) -> None:
    found = model.predict(["the train to york", "i love this song"])
    assert "neutral" not in found.labels(2)
    np.testing.assert_array_equal(
        found.probability_positive, model.predict_probability(["the train to york", "i love this song"])
    )


def test_a_model_without_a_lexicon_calls_nothing_neutral() -> None:
    bare = SentimentModel(ModelConfig(features=FeatureConfig(ngram_bits=10)))
    assert bare.predict(["the train", ""]).probability_neutral.tolist() == [0, 0]


def test_the_rule_is_half_at_its_threshold_and_falls() -> None:
    rule = NeutralRule(threshold=2.0, slope=0.5)
    assert rule(np.array([2.0])) == pytest.approx([0.5])
    assert (np.diff(rule(np.linspace(0, 9, 20))) < 0).all()


def test_no_number_is_no_label_of_neutral() -> None:
    nothing = np.array([np.nan], dtype=np.float32)
    assert Prediction(nothing, nothing).labels().tolist() == ["negative"]


def labelled(count: int) -> pl.DataFrame:
    """People who call neutral what has one mild word, and anything else negative or positive."""
    texts = {
        1: ["fine table", "okay chair", "table"],
        2: ["love love great", "wonderful and perfect"],
        0: ["hate awful", "terrible, so sad"],
    }
    rows = [(label, texts[label][number % len(texts[label])]) for label in texts for number in range(count)]
    return pl.DataFrame(rows, schema=["label", "text"], orient="row")


def test_enough_labels_of_a_users_own_replace_the_shipped_numbers(model: SentimentModel) -> None:
    rule = fit_neutral(model, labelled(FEWEST_NEUTRAL))
    assert rule.count_fitted == FEWEST_NEUTRAL
    fitted = SentimentModel(model.config.model_copy(update={"neutral": rule}))
    fitted.lexicon = model.lexicon
    rows = labelled(FEWEST_NEUTRAL)
    expected = [LABELS[place] for place in rows["label"]]
    assert fitted.predict(rows["text"]).labels().tolist() == expected


@pytest.mark.parametrize("count", [0, 40, FEWEST_NEUTRAL - 1])
def test_too_few_leave_the_shipped_numbers(model: SentimentModel, count: int) -> None:
    assert fit_neutral(model, labelled(count)) == NeutralRule()
