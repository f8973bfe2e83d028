"""What scores by compiled loops and learns by hand-written slopes must follow the same model said in torch."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from sentiment.model.classifier import SentimentModel
from sentiment.model.config import EncoderConfig, ModelConfig
from sentiment.model.encoder import Encoder, Encoders, shorten
from sentiment.model.features import FeatureConfig, Features, extract, hash_words
from sentiment.training import learners
from sentiment.training.learners import EncoderLearner, NgramLearner
from sentiment.training.word_vectors import WordVectors
from tests.model import reference_encoder

CONFIG = FeatureConfig(ngram_bits=12, word_bits=10, vector_bits=10, pair_bits=10)


@pytest.fixture(scope="module")
def batch() -> tuple[Features, np.ndarray]:
    chance = np.random.default_rng(0)
    words = ["good", "bad", "not", "very", "day", "!", "it's", "naïve"]
    texts = [" ".join(chance.choice(words, chance.integers(0, 12))) for _ in range(40)]
    return extract(pl.Series(texts), CONFIG), chance.integers(0, 2, 40).astype(np.float32)


def make_encoder(layers: int, number: int = 0) -> Encoder:
    torch.manual_seed(3)
    encoder = Encoder(EncoderConfig(width=6, layers=layers), CONFIG, number)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return encoder


@pytest.mark.parametrize("layers", [1, 3])
def test_encoders_score_by_the_mean_of_what_the_reference_says(batch: tuple[Features, np.ndarray], layers: int) -> None:
    features, _ = batch
    encoders = Encoders(EncoderConfig(width=6, layers=layers, count=2), CONFIG)
    for parameter in encoders.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    weights = np.random.default_rng(1).random(len(features.hashes), dtype=np.float32)
    weights[::7] = 0
    said = [
        reference_encoder.logits(encoder, encoder.words, encoder.pairs, features, torch.from_numpy(weights))
        for encoder in encoders
    ]
    assert not torch.equal(said[0], said[1])
    np.testing.assert_allclose(encoders.logits(features, weights), sum(said).detach().numpy() / 2, atol=1e-5)
    for first, second in zip(*(encoder.rows(features)[:2] for encoder in encoders), strict=True):
        assert not np.array_equal(first, second)


def without_chance_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "_DROPOUT", 0.0)
    # With so much caution the squared gradients do not count, and a step is the slope.
    monkeypatch.setattr(learners, "_VECTOR_CAUTION", 1e12)
    monkeypatch.setattr(learners, "_WORD_STEP", 1e6)


def losses_of(logits: torch.Tensor, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The log loss that is learnt from, and the one that is told."""
    truth = torch.from_numpy(labels)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    return loss(logits, truth * 0.8 + 0.1, reduction="sum"), loss(logits, truth, reduction="sum")


@pytest.mark.parametrize("layers", [1, 3])
def test_the_encoder_learns_along_the_slopes_of_the_reference(
    batch: tuple[Features, np.ndarray], layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = batch
    encoder = make_encoder(layers)
    learner = EncoderLearner(encoder, seed=0)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    vectors = encoder.words.data.clone().requires_grad_()
    of_pairs = encoder.pairs.data.clone().requires_grad_()
    weights = torch.ones(len(features.hashes))
    loss, told = losses_of(reference_encoder.logits(encoder, vectors, of_pairs, features, weights), labels)
    by_vectors, by_pairs, *slopes = torch.autograd.grad(loss, [vectors, of_pairs, *learner.dense])

    without_chance_and_memory(monkeypatch)
    learner.begin(seed=0, step=0)
    assert learner.learn(features, labels, rate=1.0) == pytest.approx(told.item(), rel=1e-5)
    np.testing.assert_allclose((vectors.data - encoder.words.data).numpy(), by_vectors.numpy(), atol=2e-5)
    np.testing.assert_allclose((of_pairs.data - encoder.pairs.data).numpy(), by_pairs.numpy(), atol=2e-5)
    for parameter, slope in zip(learner.dense, slopes, strict=True):
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy() * len(labels), slope.numpy(), atol=2e-5)
        assert slope.abs().max() > 0.01


@pytest.mark.parametrize("frozen", [False, True])
def test_pretrained_vectors_are_projected_along_the_slopes_and_kept_if_frozen(
    batch: tuple[Features, np.ndarray], frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = batch
    encoder = make_encoder(layers=2, number=1)
    known = np.unique(hash_words(pl.Series(["good bad not"])).hashes)
    pretrained = WordVectors(
        hashes=known,
        counts=np.array([3, 2, 1]),
        places=np.array([0, -1, 1]),
        vectors=np.random.default_rng(2).normal(size=(2, 5)).astype(np.float32),
        frozen=frozen,
    )
    learner = EncoderLearner(encoder, seed=0, pretrained=pretrained)
    given, has_vector = pretrained.by_bucket(CONFIG.vector_bits, 1)
    assert has_vector.sum() == 2
    own = learner.own.clone()
    assert (own[torch.from_numpy(has_vector)] == 0).all()
    matrix = learner.matrix.detach().clone().requires_grad_()
    vectors = own.clone().requires_grad_()
    table = vectors + torch.from_numpy(given) @ matrix
    weights = torch.ones(len(features.hashes))
    loss, _ = losses_of(reference_encoder.logits(encoder, table, encoder.pairs, features, weights), labels)
    by_matrix, by_vectors = torch.autograd.grad(loss, [matrix, vectors])

    without_chance_and_memory(monkeypatch)
    learner.begin(seed=0, step=0)
    learner.learn(features, labels, rate=1.0)
    assert learner.matrix.grad is not None
    np.testing.assert_allclose(learner.matrix.grad.numpy() * len(labels), by_matrix.numpy(), atol=2e-5)
    moved = (own - learner.own).numpy()
    assert by_vectors[torch.from_numpy(has_vector)].abs().max() > 0.01
    assert (moved[has_vector] == 0).all() == frozen
    np.testing.assert_allclose(moved[~has_vector], by_vectors.numpy()[~has_vector], atol=2e-5)
    learner.settle()
    np.testing.assert_allclose(
        encoder.words.data.numpy(), learner.own.numpy() + given @ learner.matrix.detach().numpy(), atol=1e-5
    )


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
    beginning, endless = " ".join(["good", "bad", "day"] * 85), " ".join(["good", "bad", "day"] * 1000)
    features = extract(pl.Series([beginning, "", endless, "short one"]), CONFIG)
    words, offsets = shorten(features.words, features.offsets)
    assert np.diff(offsets).tolist() == [256, 1, 256, 3]
    assert np.array_equal(words[:256], words[257:513])
    assert np.array_equal(words[-2:], features.words[-2:])
