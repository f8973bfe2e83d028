"""A model scores any text the same alone or in company, and comes back from its folder as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentiment.errors import ModelError
from sentiment.model import classifier as model_module
from sentiment.model.classifier import SentimentModel
from sentiment.model.config import EncoderConfig, ModelConfig
from sentiment.model.features import FeatureConfig
from sentiment.model.lexicon import Lexicon


@pytest.fixture(scope="module")
def model() -> SentimentModel:
    """Random weights, as large as trained ones."""
    torch.manual_seed(7)
    config = ModelConfig(
        features=FeatureConfig(ngram_bits=12, word_bits=8, vector_bits=8, pair_bits=8),
        encoder=EncoderConfig(width=4, layers=3, count=2),
        encoder_weight=1.0,
    )
    model = SentimentModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.round_vectors()
    return model.eval()


@given(texts=st.lists(st.text(max_size=80), min_size=1, max_size=12), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_text_scores_the_same_alone_in_a_batch_and_in_any_order(
    model: SentimentModel, texts: list[str], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(texts))))
    together = model.predict_probability(texts)
    shuffled = model.predict_probability([texts[i] for i in order])
    alone = np.concatenate([model.predict_probability([text]) for text in texts])
    assert together.dtype == np.float32
    assert together.shape == (len(texts),)
    assert ((together >= 0) & (together <= 1)).all()
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together[order], shuffled, atol=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\x00",
        "\n\n",
        "@someone",
        "http://x.y",
        "😀😀",
        "مرحبا",
        "half \ud83d pair",
        "a" * 1_000_000,
        "no " * 350_000,
    ],
)
def test_any_text_gets_a_probability(model: SentimentModel, text: str) -> None:
    probability = model.predict_probability([text, "good"])
    assert np.isfinite(probability).all()
    np.testing.assert_allclose(probability[1], model.predict_probability(["good"])[0], atol=1e-5)


def test_missing_texts_count_as_empty(model: SentimentModel) -> None:
    column = pl.Series(["good", None], dtype=pl.String)
    assert model.predict_probability(column)[1] == model.predict_probability([""])[0]


def test_no_texts_give_no_probabilities(model: SentimentModel) -> None:
    assert model.predict_probability([]).shape == (0,)


def test_batches_are_bounded_by_rows_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "_BATCH_ROWS", 3)
    monkeypatch.setattr(model_module, "_FEWEST_BATCH_ROWS", 3)
    monkeypatch.setattr(model_module, "_BATCH_BYTES", 10)
    texts = pl.Series(["aaaa", "bbbb", "cccc", "dddd", "e" * 50, "f", "g"])
    batches = [(first, batch.to_list()) for first, batch in model_module.in_batches(texts)]
    assert batches == [(0, ["aaaa", "bbbb"]), (2, ["cccc"]), (3, ["dddd"]), (4, ["e" * 50]), (5, ["f"]), (6, ["g"])]


def test_a_saved_model_gives_the_same_probabilities(model: SentimentModel, tmp_path: Path) -> None:
    texts = ["good morning", "sooo tired", "", "@you no"]
    model.save(tmp_path / "model")
    loaded = SentimentModel.load(tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["config.json", "weights.safetensors"]
    assert np.array_equal(loaded.predict_probability(texts), model.predict_probability(texts))


def test_smaller_weights_soften_but_never_flips(model: SentimentModel, tmp_path: Path) -> None:
    texts = ["good morning", "sooo tired", "no"]
    model.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"ngram_weight": 0.1, "encoder_weight": 0.1}))
    softer, sharper = SentimentModel.load(tmp_path).predict_probability(texts), model.predict_probability(texts)
    assert np.all(np.abs(softer - 0.5) < np.abs(sharper - 0.5))
    assert np.array_equal(softer > 0.5, sharper > 0.5)


def damage_truncate_weights(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def damage_remove_weights(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def damage_remove_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def damage_truncate_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"format": "sent')


def damage_future_format(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"format": "sentiment-model-99"}))


def damage_other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["features"]["ngram_bits"] = 5
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_truncate_weights, "weights.safetensors is damaged"),
        (damage_remove_weights, "no weights.safetensors"),
        (damage_remove_config, "no config.json"),
        (damage_truncate_config, "config.json is damaged"),
        (damage_future_format, "sentiment-model-"),
        (damage_other_shape, "do not fit"),
    ],
)
def test_a_damaged_folder_is_refused_with_a_sentence(model: SentimentModel, tmp_path: Path, damage, words: str) -> None:  # type: ignore[no-untyped-def]
    model.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelError, match=words) as refusal:
        SentimentModel.load(tmp_path)
    assert "train again" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("man", "woman"), [("he", "she"), ("my brother", "my sister"), ("james", "mary"), ("a christian", "a hindu")]
)
def test_who_somebody_is_moves_no_probability(man: str, woman: str) -> None:
    lexicon, small = Lexicon.shipped(), FeatureConfig(ngram_bits=12, word_bits=8, vector_bits=8, pair_bits=8)
    config = ModelConfig(
        features=small, lexicon=lexicon.config, encoder=EncoderConfig(width=4), encoder_weight=1.0, lexicon_weight=1.0
    )
    model = SentimentModel(config.model_copy(update={"oov_discount": 2.0}))
    model.lexicon = lexicon
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(0))
    one, other, unlike = model.predict_probability([f"{who} was so kind" for who in (man, woman, "a plumber")])
    assert one == other != unlike
