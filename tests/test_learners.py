"""What learns by hand-written slopes must follow those of the model that scores."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from sentiment import learners
from sentiment.encoder import Encoder
from sentiment.features import FeatureConfig, Features, extract
from sentiment.learners import EncoderLearner, NgramLearner
from sentiment.model import SentimentModel
from sentiment.model_config import EncoderConfig, ModelConfig

CONFIG = FeatureConfig(ngram_bits=12, word_bits=10)


@pytest.fixture(scope="module")
def batch() -> tuple[Features, np.ndarray]:
    chance = np.random.default_rng(0)
    words = ["good", "bad", "not", "very", "day", "!", "it's", "naïve"]
    texts = [" ".join(chance.choice(words, chance.integers(0, 12))) for _ in range(40)]
    return extract(pl.Series(texts), CONFIG), chance.integers(0, 2, 40).astype(np.float32)


@pytest.mark.parametrize("layers", [1, 3])
def test_the_encoder_learns_along_the_slopes_of_what_scores(
    batch: tuple[Features, np.ndarray], layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = batch
    encoder = Encoder(EncoderConfig(width=6, layers=layers), CONFIG.word_bits)
    learner = EncoderLearner(encoder, seed=0)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    encoder.words.requires_grad_()
    logits = encoder(torch.from_numpy(features.words), torch.from_numpy(features.offsets))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels), reduction="sum")
    slopes = torch.autograd.grad(loss, list(encoder.parameters()))
    encoder.words.requires_grad_(False)
    words_before = encoder.words.data.clone()

    monkeypatch.setattr(learners, "_DROPOUT", 0.0)
    # With so much caution the squared gradients do not count, and a step is the slope.
    monkeypatch.setattr(learners, "_WORD_CAUTION", 1e12)
    monkeypatch.setattr(learners, "_WORD_STEP", 1e6)
    learner.begin(seed=0, step=0)
    assert learner.learn(features, labels, rate=1.0) == pytest.approx(loss.item(), rel=1e-5)
    for (name, parameter), slope in zip(encoder.named_parameters(), slopes, strict=True):
        found = words_before - parameter.data if name == "words" else parameter.grad * len(labels)
        np.testing.assert_allclose(found.numpy(), slope.numpy(), atol=2e-5, err_msg=name)
        assert slope.abs().max() > 0.01


def test_ngrams_that_stand_in_positive_rows_alone_become_positive() -> None:
    features = extract(pl.Series(["lovely day", "awful day"] * 20), CONFIG)
    labels = np.tile([1.0, 0.0], 20).astype(np.float32)
    model = SentimentModel(ModelConfig(features=CONFIG))
    learner = NgramLearner(model.ngrams)
    losses = [learner.learn(features, labels, rate=1.0) for _ in range(10)]
    assert losses[0] < 40 * np.log(2)
    assert losses == sorted(losses, reverse=True)
    assert np.sign(model.ngram_logits(features)).tolist() == np.tile([1, -1], 20).tolist()


def test_the_encoder_reads_the_beginning_of_an_endless_text() -> None:
    encoder = Encoder(EncoderConfig(width=4, layers=2), CONFIG.word_bits)
    beginning, endless = " ".join(["good", "bad", "day"] * 85), " ".join(["good", "bad", "day"] * 1000)
    features = extract(pl.Series([beginning, "", endless, "short one"]), CONFIG)
    words, offsets = encoder.shorten(features.words, features.offsets)
    assert np.diff(offsets).tolist() == [256, 1, 256, 3]
    assert np.array_equal(words[:256], words[257:513])
    assert np.array_equal(words[-2:], features.words[-2:])
