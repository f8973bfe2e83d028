"""Strange tweets are judged by the lexicon more than by what was learnt of topics, as far as that costs little at home."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from sentiment.model.classifier import SentimentModel
from sentiment.model.config import ModelConfig
from sentiment.model.features import FeatureConfig, extract
from sentiment.model.lexicon import Lexicon
from sentiment.training.blending import TOLERANCE, weigh, weigh_for_elsewhere
from sentiment.training.learners import NgramLearner

CONFIG = FeatureConfig(ngram_bits=16, word_bits=14)
TOPICS = [f"topic{number}" for number in range(200)]


def model_with(familiar: list[str], **config: float) -> SentimentModel:
    lexicon = Lexicon.shipped()
    model = SentimentModel(ModelConfig(features=CONFIG, lexicon=lexicon.config, **config))  # type: ignore[arg-type]
    model.lexicon = lexicon
    for word in familiar:
        model.is_familiar[extract(pl.Series([word]), CONFIG).words[1:]] = True
    return model


def test_the_stranger_a_tweet_the_less_topics_count_and_the_more_the_lexicon() -> None:
    model = model_with(["day"], topic_fade=2.0, lexicon_lift=8.0)
    heed = model.heed(extract(pl.Series(["good day", "", "good day zyx xyz"]), CONFIG))
    assert heed is not None
    assert heed.word_weights.tolist() == [1, 1, 1, 1, 0.5, 1, 0.5, 0.5, 0.5]
    assert heed.lexicon_weights.tolist() == [1, 1, 5]


def test_ngrams_with_a_known_word_keep_their_value() -> None:
    model = model_with([], topic_fade=2.0)
    model.ngrams.data.fill_(1.0)
    features = extract(pl.Series(["good day zyx xyz"]), CONFIG)
    values = model.ngram_values(features, model.heed(features))
    fade = np.float32(1) / (1 + np.float32(2.0) * np.float32(0.75))
    assert values[:2].tolist() == [[fade, 1, 1, fade], [1, 1, 1, 1]]
    assert np.unique(values[2:]).tolist() == [fade]
    assert model.ngram_values(features).min() == 1


def test_a_row_is_as_strange_alone_as_in_a_batch() -> None:
    model = model_with(["day"], topic_fade=2.0, lexicon_lift=8.0)
    texts = ["good day", "zyx xyz bad", "", "day zyx"]
    together = model.part_logits(extract(pl.Series(texts), CONFIG))
    alone = np.concatenate([model.part_logits(extract(pl.Series([text]), CONFIG)) for text in texts])
    assert np.array_equal(together, alone)


@pytest.fixture(scope="module")
def rows() -> tuple[pl.Series, np.ndarray]:
    """Rows whose label follows from a word that the lexicon knows, or, one in three, from a topic against that word."""
    chance = np.random.default_rng(4)
    labels = chance.integers(0, 2, 3000)
    is_opposed = np.arange(3000) % 3 == 0
    half = len(TOPICS) // 2
    texts = [
        f"{'good' if label != opposed else 'awful'} {TOPICS[chance.integers(half) + half * label] if opposed else 'day'}"
        for label, opposed in zip(labels, is_opposed, strict=True)
    ]
    return pl.Series(texts), labels


def learnt(rows: tuple[pl.Series, np.ndarray], familiar: list[str]) -> SentimentModel:
    model = model_with(familiar)
    learner = NgramLearner(model.ngrams)
    for _ in range(10):
        learner.learn(extract(rows[0], CONFIG), rows[1].astype(np.float32), 1.0)
    return model


@pytest.mark.parametrize("familiar", [["day"], ["day", *TOPICS]])
def test_leaning_elsewhere_costs_no_more_than_the_tolerance(
    rows: tuple[pl.Series, np.ndarray], familiar: list[str]
) -> None:
    model = learnt(rows, familiar)
    home, elsewhere = weigh(model, *rows), weigh_for_elsewhere(model, *rows)
    assert home.accuracy > 0.97
    assert home.config.topic_fade == home.config.lexicon_lift == 0
    assert elsewhere.accuracy >= home.accuracy - 2 * TOLERANCE
    assert elsewhere.config.lexicon_weight >= home.config.lexicon_weight
    assert elsewhere.config.lexicon_lift > 0


def test_topics_fade_where_nothing_hangs_on_them(rows: tuple[pl.Series, np.ndarray]) -> None:
    assert weigh_for_elsewhere(learnt(rows, ["day", *TOPICS]), *rows).config.topic_fade == 6.0
