"""Tweets with many out-of-vocabulary words rely on the lexicon more than on topics, as far as that costs little in domain."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from sentiment.model.batch import Batch
from sentiment.model.classifier import SentimentModel, WordWeights
from sentiment.model.config import ModelConfig
from sentiment.model.features import FeatureConfig, extract
from sentiment.model.lexicon import Lexicon
from sentiment.training.blending import TOLERANCE, fit_blend, fit_out_of_domain_blend
from sentiment.training.parts import Inputs, ngram_part

CONFIG = FeatureConfig(ngram_bits=16, word_bits=14)
TOPICS = [f"topic{number}" for number in range(200)]


def model_with(vocabulary: list[str], **config: float) -> SentimentModel:
    lexicon = Lexicon.shipped()
    model = SentimentModel(ModelConfig(features=CONFIG, lexicon=lexicon.config, **config))  # type: ignore[arg-type]
    model.lexicon = lexicon
    for word in vocabulary:
        model.in_vocabulary[extract(pl.Series([word]), CONFIG).words[1:]] = True
    return model


def batch_of(*texts: str) -> Batch:
    return Batch.of(extract(pl.Series(texts), CONFIG))


def weights_of(model: SentimentModel, batch: Batch) -> WordWeights:
    assert model.lexicon is not None
    return model.word_weights(batch, model.lexicon.read(batch.features), model.config)


def test_the_more_words_are_out_of_vocabulary_the_less_they_count_and_the_more_the_lexicon() -> None:
    model = model_with(["day"], oov_discount=2.0, oov_lexicon_boost=8.0)
    weights = weights_of(model, batch_of("good day", "", "good day zyx xyz"))
    assert weights.encoder.tolist() == [1, 1, 1, 1, 0.5, 1, 0.5, 0.5, 0.5]
    assert weights.lexicon.tolist() == [1, 1, 5]


def test_ngrams_with_a_known_word_keep_their_value() -> None:
    model = model_with([], oov_discount=2.0)
    model.ngrams.weight.data.fill_(1.0)
    batch = batch_of("good day zyx xyz")
    weights = weights_of(model, batch).ngrams
    values = model.ngrams.contributions(batch, weights).detach()
    discounted = float(np.float32(1) / (1 + np.float32(2.0) * np.float32(0.75)))
    assert values[:2].tolist() == [[discounted, 1, 1, discounted], [1, 1, 1, 1]]
    assert np.unique(values[2:]).tolist() == [discounted]
    assert model.ngrams(batch, weights).item() == pytest.approx(values.sum().item())
    assert model.ngrams(batch).item() == 20


def test_a_row_has_the_same_logits_alone_and_in_a_batch() -> None:
    model = model_with(["day"], oov_discount=2.0, oov_lexicon_boost=8.0)
    texts = ["good day", "zyx xyz bad", "", "day zyx"]
    with torch.inference_mode():
        together = model.part_logits(batch_of(*texts))
        assert torch.equal(together, torch.cat([model.part_logits(batch_of(text)) for text in texts]))


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


def trained(rows: tuple[pl.Series, np.ndarray], vocabulary: list[str]) -> SentimentModel:
    model = model_with(vocabulary)
    part, labels = ngram_part(model), torch.from_numpy(rows[1]).float()
    inputs = Inputs(batch_of(*rows[0]), torch.zeros(len(labels)))
    for first in [*range(0, len(labels), 300)] * 10:
        part.loss(part.forward(inputs.rows(first, first + 300)), labels[first : first + 300]).backward()
        part.optimizers[0].step()
        part.optimizers[0].zero_grad()
    return model.eval()


@pytest.mark.parametrize("vocabulary", [["day"], ["day", *TOPICS]])
def test_relying_on_the_lexicon_costs_no_more_than_the_tolerance(
    rows: tuple[pl.Series, np.ndarray], vocabulary: list[str]
) -> None:
    model = trained(rows, vocabulary)
    in_domain, out_of_domain = fit_blend(model, *rows), fit_out_of_domain_blend(model, *rows)
    assert in_domain.accuracy > 0.97
    assert in_domain.config.oov_discount == in_domain.config.oov_lexicon_boost == 0
    assert out_of_domain.accuracy >= in_domain.accuracy - 2 * TOLERANCE
    assert out_of_domain.config.lexicon_weight >= in_domain.config.lexicon_weight
    assert out_of_domain.config.oov_lexicon_boost > 0


def test_unknown_words_are_discounted_where_nothing_depends_on_them(rows: tuple[pl.Series, np.ndarray]) -> None:
    model = trained(rows, ["day", *TOPICS])
    assert fit_out_of_domain_blend(model, *rows).config.oov_discount == 6.0
