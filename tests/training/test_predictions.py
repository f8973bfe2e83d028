"""The hold-out is predicted once for each version, no matter who asks: training's metrics, the learning curve, and the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sentiment.gate.decide import decide_on
from sentiment.model.classifier import SentimentModel
from sentiment.model.features import FeatureConfig
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import Home
from sentiment.training import versions
from sentiment.training.config import TrainingConfig, TrainingJob
from sentiment.training.predictions import predictions_of
from sentiment.training.subsets import Export
from sentiment.training.versions import look_ahead, train_version

CONFIG = TrainingConfig(effort=1, features=FeatureConfig(ngram_bits=12))


@pytest.fixture
def texts_predicted(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each number of texts was predicted."""
    counts: Counter[int] = Counter()
    predict = SentimentModel.predict_probability

    def count(self: SentimentModel, texts: pl.Series) -> np.ndarray:
        counts[len(texts)] += 1
        return predict(self, texts)

    monkeypatch.setattr(SentimentModel, "predict_probability", count)
    return counts


def test_a_version_predicts_the_hold_out_once_from_its_training_to_its_decision(
    world: Home,
    registry: Registry,
    frozen: Export,
    texts_predicted: Counter[int],
    loaded_here: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count_holdout = len(pl.read_parquet(frozen.holdout))
    # The reference predictions are of the first rows of the hold-out; here not of all of them.
    monkeypatch.setattr(versions, "REFERENCE_ROWS", 10)
    for number, rows in enumerate((500, 1000), start=1):
        trained = train_version(world, registry, frozen, TrainingJob(rows, CONFIG, 0))
        look_ahead(world, registry, frozen, trained)
        decide_on(world, registry, frozen, trained.version)
        assert texts_predicted[count_holdout] == number


def test_predictions_are_those_of_the_registered_copy(
    registry: Registry, frozen: Export, register: Callable[..., RegisteredVersion], lexicon_model: Callable
) -> None:
    version = register(15)
    texts = pl.read_parquet(frozen.holdout)["text"]
    for _ in range(2):
        found = predictions_of(registry, frozen, version)
        np.testing.assert_array_equal(found.holdout, lexicon_model(15).predict_probability(texts))
        assert set(found.gold) == {"manual"}
        assert found.rows_per_second > 0


@pytest.mark.parametrize("damage", [b"", b"no archive"])
def test_damaged_predictions_are_made_again(
    registry: Registry, frozen: Export, register: Callable[..., RegisteredVersion], damage: bytes
) -> None:
    version = register(15)
    first = predictions_of(registry, frozen, version)
    (kept,) = frozen.folder.glob("predictions-*.npz")
    kept.write_bytes(damage)
    np.testing.assert_array_equal(predictions_of(registry, frozen, version).holdout, first.holdout)


def test_another_version_of_the_same_number_and_other_rows_are_predicted_again(
    registry: Registry, frozen: Export, register: Callable[..., RegisteredVersion], texts_predicted: Counter[int]
) -> None:
    version = register(15)
    model = registry.load(version.model_version)
    for other in (version, replace(version, run_id="another")):
        for rows in (frozen, replace(frozen, gold_digest="other")):
            texts_predicted.clear()
            predictions_of(registry, rows, other, model)
            assert texts_predicted.total() > 0
            texts_predicted.clear()
            predictions_of(registry, rows, other, model)
            assert texts_predicted.total() == 0
