"""Parts learn what their labels follow, encoders average independent readings, and pretrained vectors fold into the table."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from sentiment.model import encoder as encoder_module
from sentiment.model import operators
from sentiment.model.batch import Batch, hash_buckets
from sentiment.model.classifier import SentimentModel
from sentiment.model.config import EncoderConfig, ModelConfig
from sentiment.model.encoder import Dropout, Encoder, Encoders
from sentiment.model.features import FeatureConfig, extract, word_buckets
from sentiment.model.words import hash_words
from sentiment.training import parts
from sentiment.training.parts import Inputs, Part, PretrainedEncoder, encoder_part, ngram_part
from sentiment.training.word_vectors import WordVectors

CONFIG = FeatureConfig(ngram_bits=12, word_bits=10, vector_bits=10, pair_bits=10)


def inputs_of(texts: list[str]) -> Inputs:
    return Inputs(Batch.of(extract(pl.Series(texts), CONFIG)), torch.zeros(len(texts)))


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    chance = np.random.default_rng(0)
    words = ["good", "bad", "not", "very", "day", "!", "it's", "naïve"]
    return inputs_of([" ".join(chance.choice(words, chance.integers(0, 12))) for _ in range(40)])


def random_encoder(number: int = 0) -> Encoder:
    torch.manual_seed(3 + number)
    encoder = Encoder(EncoderConfig(width=6, layers=3), CONFIG, number)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return encoder


def steps(part: Part, inputs: Inputs, labels: torch.Tensor, count: int) -> list[float]:
    losses = []
    for _ in range(count):
        loss = part.loss(part.forward(inputs), labels)
        loss.backward()
        for optimizer in part.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def test_encoders_score_by_their_mean_whatever_the_block_a_row_is_in(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(encoder_module._BLOCK_ROWS, "cpu", 7)
    encoders = Encoders(EncoderConfig(width=6, layers=3, count=2), CONFIG)
    for encoder in encoders:
        encoder.load_state_dict(random_encoder(encoder.number).state_dict())
    weights = torch.rand(len(inputs.batch.words))
    weights[::7] = 0
    expected = torch.stack([encoder(inputs.batch, weights) for encoder in encoders])
    assert not torch.equal(expected[0], expected[1])
    torch.testing.assert_close(encoders(inputs.batch, weights), expected.mean(0), atol=1e-6, rtol=0)


def test_encoders_hash_words_differently_and_as_numpy_does() -> None:
    features = extract(pl.Series(["good bad not very naïve"]), CONFIG)
    hashes = torch.from_numpy(features.hashes.view(np.int64))
    for number in (0, 1, 5):
        assert hash_buckets(hashes, 10, number).tolist() == word_buckets(features.hashes, 10, number).tolist()
    assert hash_buckets(hashes, 10, 0).tolist() != hash_buckets(hashes, 10, 1).tolist()


def test_the_encoder_reads_the_beginning_of_an_endless_text() -> None:
    beginning, endless = " ".join(["good", "bad", "day"] * 85), " ".join(["good", "bad", "day"] * 1000)
    logits = random_encoder()(inputs_of([beginning + " good", "", endless, "short one"]).batch)
    assert logits[0] == logits[2]
    torch.testing.assert_close(logits[3:], random_encoder()(inputs_of(["short one"]).batch))


def test_plain_torch_gives_the_same_gradients_as_the_compiled_loops(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = []
    for devices in ({"cpu"}, set[str]()):
        monkeypatch.setattr(operators, "COMPILED_DEVICES", devices)
        encoder = random_encoder()
        encoder(inputs.batch).square().sum().backward()
        gradients.append([parameter.grad.to_dense() for parameter in encoder.parameters()])
    for compiled, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, plain, atol=1e-4, rtol=1e-4)


def test_ngrams_of_positive_rows_alone_become_positive() -> None:
    inputs, labels = inputs_of(["lovely day", "awful day"] * 20), torch.tensor([1.0, 0.0] * 20)
    model = SentimentModel(ModelConfig(features=CONFIG))
    losses = steps(ngram_part(model), inputs, labels, 10)
    assert losses[0] == pytest.approx(40 * np.log(2))
    assert losses == sorted(losses, reverse=True)
    assert torch.sign(model.ngrams(inputs.batch)).tolist() == [1, -1] * 20


def test_an_encoder_learns_the_order_of_words() -> None:
    texts, labels = ["not good but bad", "not bad but good"] * 20, torch.tensor([0.0, 1.0] * 20)
    encoder = Encoder(EncoderConfig(width=8, layers=2), CONFIG)
    steps(encoder_part(encoder), inputs_of(texts), labels, 60)
    assert torch.sign(encoder.eval()(inputs_of(texts[:2]).batch)).tolist() == [-1, 1]


def test_dropout_follows_its_generator_and_keeps_the_mean() -> None:
    dropout, values = Dropout(0.25), torch.ones(200, 100)
    dropout.generator = torch.Generator().manual_seed(1)
    first = dropout(values)
    dropout.generator.manual_seed(1)
    assert torch.equal(dropout(values), first)
    assert set(first.unique().tolist()) == {0.0, torch.tensor(4 / 3).item()}
    assert first.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(dropout.eval()(values), values)


def pretrained_vectors() -> WordVectors:
    return WordVectors(
        hashes=np.unique(hash_words(pl.Series(["good bad not"])).hashes),
        counts=np.array([3, 2, 1]),
        places=np.array([0, -1, 1]),
        vectors=np.random.default_rng(2).normal(size=(2, 5)).astype(np.float32),
    )


def test_an_encoder_with_pretrained_vectors_is_one_whose_table_is_their_sum(inputs: Inputs) -> None:
    module = PretrainedEncoder(random_encoder(1), pretrained_vectors(), torch.Generator().manual_seed(4))
    given, has_vector = pretrained_vectors().by_bucket(CONFIG.vector_bits, 1)
    assert (module.words[torch.from_numpy(has_vector)] == 0).all()
    logits = module(inputs.batch)
    logits.square().sum().backward()
    words, matrix = module.words.grad, module.matrix.grad
    assert words is not None
    assert matrix is not None
    module.fold()
    folded = module.encoder
    folded.zero_grad()
    torch.testing.assert_close(folded(inputs.batch), logits, atol=1e-5, rtol=0)
    folded(inputs.batch).square().sum().backward()
    table_grad = folded.words.grad
    assert table_grad is not None
    torch.testing.assert_close(words.to_dense(), table_grad.to_dense(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(matrix, torch.from_numpy(given).T @ table_grad.to_dense(), atol=1e-4, rtol=1e-4)
    assert matrix.abs().max() > 0.01


def test_both_the_matrix_and_the_own_vectors_train(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_DROPOUT", 0.0)
    encoder = Encoder(EncoderConfig(width=6, layers=2), CONFIG, 1)
    part = encoder_part(encoder, pretrained_vectors())
    before = {name: value.clone() for name, value in part.tensors().items()}
    losses = steps(part, inputs, torch.arange(40) % 2.0, 30)
    assert losses[-1] < losses[0]
    assert all(not torch.equal(before[name], value) for name, value in part.tensors().items())
    logits = part.forward(inputs)
    part.synchronise()
    torch.testing.assert_close(encoder(inputs.batch), logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("count_steps", [1, 2, 7, 740])
@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.99])
def test_a_part_of_fewer_rows_trains_on_groups_spread_over_the_passes(count_steps: int, share: float) -> None:
    total = 4_000 * count_steps
    part = Part("custom", torch.nn.Identity(), torch.nn.MSELoss(), [], 32, rows=max(int(share * total), 1))
    steps = [step for step in range(count_steps) if part.trains_on(step, total)]
    assert len(steps) == max(int(np.ceil(share * count_steps)), 1)
    assert steps[0] == 0
    gaps = np.diff(steps) * share
    assert ((gaps > 1 - share) & (gaps < 1 + share)).all()
    ends = [(part.progress(4_000 * step, 0, total), part.progress(4_000 * step, 4_000, total)) for step in steps]
    assert all(0 <= begin < end <= 1 for begin, end in ends)
    assert [begin for begin, _ in ends[1:]] == pytest.approx([end for _, end in ends[:-1]], abs=1.01 / count_steps)


def test_a_part_of_all_rows_trains_on_every_group() -> None:
    part = Part("ngrams", torch.nn.Identity(), torch.nn.MSELoss(), [], 32)
    assert all(part.trains_on(step, 1_000) for step in range(10))
    assert part.progress(400, 32, 1_000) == 0.432
