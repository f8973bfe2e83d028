"""An explanation names every word and adds up to the prediction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentiment.model.classifier import SentimentModel
from sentiment.model.config import BetaCalibration, EncoderConfig, ModelConfig
from sentiment.model.explanation import Explanation, explain, explain_in_full
from sentiment.model.features import FeatureConfig
from sentiment.model.lexicon import Lexicon


def make_model(*, encoder: EncoderConfig | None, with_lexicon: bool) -> SentimentModel:
    lexicon = Lexicon.shipped()
    config = ModelConfig(
        features=FeatureConfig(ngram_bits=12, word_bits=8, vector_bits=8, pair_bits=8),
        encoder=encoder,
        encoder_weight=0.5,
        ngram_weight=0.8,
        lexicon=lexicon.config if with_lexicon else None,
        lexicon_weight=1.5,
        oov_discount=0.7,
        oov_lexicon_boost=1.5,
        calibration=BetaCalibration(b=0.8, a=1.2, asinh=0.1, c=-0.2),
    )
    torch.manual_seed(3)
    model = SentimentModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    if with_lexicon:
        model.lexicon = lexicon
    return model.eval()


WHOLE = make_model(encoder=EncoderConfig(width=4, layers=3), with_lexicon=True)
MODELS = {
    "all parts": WHOLE,
    "no encoder": make_model(encoder=None, with_lexicon=True),
    "n-grams alone": make_model(encoder=None, with_lexicon=False),
}


def total(found: Explanation) -> float:
    return sum(word.total for word in found.words) + found.every_tweet + found.together + found.calibration


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@given(text=st.text(max_size=60) | st.sampled_from(["not GOOD at all!!", "", "@you :) http://x.y", "half \ud83d pair"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_an_explanation_adds_up_to_the_prediction(model: SentimentModel, text: str) -> None:
    found = explain_in_full(model, text)
    assert total(found) == pytest.approx(found.logit, abs=1e-5)
    assert 1 / (1 + np.exp(-found.logit)) == pytest.approx(found.probability_positive, abs=1e-5)
    assert found.probability_positive == model.predict_probability([text])[0]


def test_without_an_encoder_nothing_is_left_over() -> None:
    assert explain_in_full(MODELS["no encoder"], "not good, but cheap!").together == pytest.approx(0, abs=1e-5)


def test_words_are_shown_as_the_model_reads_them_in_order() -> None:
    words = explain(WHOLE, "Don't go, @ann :) SOOOO good! http://x.y")
    assert [word for word, _ in words] == ["dont", "go", ",", "🙂", "soo", "good", "!"]


def test_the_lexicon_names_the_word_that_means_something() -> None:
    found = {word.token: word.lexicon for word in explain_in_full(WHOLE, "the table is not good").words}
    assert found["good"] < -0.2
    assert found["the"] == found["table"] == found["is"] == 0


def test_the_encoders_part_is_what_its_logit_loses_without_the_word() -> None:
    found = explain_in_full(WHOLE, "good table")
    alone = explain_in_full(WHOLE, "")
    words = sum(word.encoder for word in found.words)
    assert words != 0
    assert found.together + words != pytest.approx(alone.together)


def test_a_megabyte_is_explained_too() -> None:
    found = explain_in_full(WHOLE, "no " * 300_000)
    assert len(found.words) == 1000
    assert total(found) == pytest.approx(found.logit, rel=1e-4)
