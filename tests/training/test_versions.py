"""From a frozen export to a registered version: recognised by its key, trained once, with its list of fed rows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from sentiment.errors import InputError
from sentiment.evaluation.metrics import evaluate
from sentiment.model.features import FeatureConfig
from sentiment.registry.client import Registry
from sentiment.settings import Home
from sentiment.training import fit, versions
from sentiment.training.config import TrainingConfig, TrainingJob
from sentiment.training.run_metrics import LossCurve
from sentiment.training.subsets import Export
from sentiment.training.versions import TrainedVersion, evaluate_version, train_version

CONFIG = TrainingConfig(effort=1, features=FeatureConfig(ngram_bits=12))


@pytest.fixture
def train(world: Home, registry: Registry, frozen: Export) -> Callable[..., TrainedVersion]:
    def train(rows: int = 1000, seed: int = 0, config: TrainingConfig = CONFIG, **options: Any) -> TrainedVersion:
        return train_version(world, registry, frozen, TrainingJob(rows, config, seed), **options)

    return train


def test_a_version_has_its_rows_digests_curve_and_cost_in_the_warehouse(
    world: Home, frozen: Export, train: Callable, rows_of: Callable
) -> None:
    trained = train()
    assert (trained.version.model_version, trained.was_reused, trained.count_train_rows) == (1, False, 1000)
    row = rows_of(world, "select count_train_rows, count_fed_rows, data_digest, subset_digest, holdout_digest, "
                         "gold_digest, seed, config, subset_rule from model_versions")[0]  # fmt: skip
    assert row[:7] == (
        1000,
        1000,
        frozen.data_digest,
        frozen.subset_digest(1000),
        frozen.holdout_digest,
        frozen.gold_digest,
        0,
    )
    assert json.loads(row[7])["features"]["ngram_bits"] == 12
    assert row[8].startswith("first 1,000 rows of the training split")
    holdout = len(pl.read_parquet(frozen.holdout))
    assert rows_of(world, "select evaluation_set, count_rows from learning_curve order by 1") == [
        ("gold:manual", 20),
        ("holdout", holdout),
    ]


def test_the_rows_that_were_fed_are_the_subset(
    registry: Registry, frozen: Export, train: Callable[..., TrainedVersion]
) -> None:
    path = registry.fed_rows(train().version)
    assert path is not None
    assert set(pl.read_parquet(path)["tweet_id"]) == set(pl.read_parquet(frozen.train).head(1000)["tweet_id"])


def test_the_page_of_its_run_shows_quality_slices_and_pictures(registry: Registry, train: Callable) -> None:
    trained = train()
    metrics = registry.metrics(trained.version)
    assert metrics["holdout_accuracy"] == pytest.approx(trained.holdout.accuracy)
    assert {
        "holdout_precision_negative",
        "holdout_recall_positive",
        "slice_accuracy/short",
        "gold_accuracy/manual",
    } <= set(metrics)
    files = {file.path for file in registry.client.list_artifacts(trained.version.run_id)}
    assert {"confusion_matrix.png", "calibration.png"} <= files
    version = registry.client.get_model_version(registry.name, "1")
    assert version.tags["rows"] == "1,000"
    assert "What it is for" in registry.client.get_registered_model(registry.name).description


def test_a_curve_has_about_fifty_points_however_long_a_training_is() -> None:
    curve = LossCurve()
    for number in range(10_000):
        curve.add(number, 0.5)
    rows = [point["rows_seen"] for point in curve.points]
    assert 50 <= len(rows) < 100
    assert rows == sorted(rows)
    assert len(set(np.diff(rows))) == 1


def test_the_same_rows_config_and_seed_are_trained_once(
    world: Home, train: Callable[..., TrainedVersion], rows_of: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train()
    monkeypatch.setattr(fit, "fit", None)
    again = train()
    assert (again.version, again.was_reused) == (first.version, True)
    assert again.train_seconds == first.train_seconds
    assert rows_of(world, "select count(*) from model_versions") == [(1,)]
    assert rows_of(world, "select count(*) from learning_curve") == [(2,)]


@pytest.mark.parametrize("other", [{"rows": 1001}, {"seed": 1}, {"config": CONFIG.model_copy(update={"effort": 2})}])
def test_other_rows_config_or_seed_make_another_version(
    train: Callable[..., TrainedVersion], other: dict[str, Any]
) -> None:
    train()
    assert train(**other).version.model_version == 2


def test_a_run_that_was_killed_before_it_was_recorded_takes_the_version_that_is_there(
    world: Home, registry: Registry, train: Callable[..., TrainedVersion], rows_of: Callable
) -> None:
    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "record_version", kill)
        with pytest.raises(KeyboardInterrupt):
            train()
    assert train().was_reused
    assert rows_of(world, "select model_version from model_versions") == [(1,)]
    assert len(registry.client.search_model_versions(f"name = '{registry.name}'")) == 1
    assert list(world.checkpoints.iterdir()) == []


def test_a_seed_gives_the_same_weights(
    registry: Registry, frozen: Export, train: Callable[..., TrainedVersion]
) -> None:
    first = registry.load(train().version.model_version)
    registry.client.delete_registered_model(registry.name)
    second = train()
    assert not second.was_reused
    again = registry.load(second.version.model_version)
    np.testing.assert_array_equal(first.ngrams.weight.detach(), again.ngrams.weight.detach())


def test_more_rows_than_there_are_is_a_sentence(frozen: Export, train: Callable[..., TrainedVersion]) -> None:
    with pytest.raises(
        InputError, match=rf"the training split has {frozen.count_train_rows:,} labelled rows\. Ask for"
    ):
        train(rows=frozen.count_train_rows + 1)


def test_a_version_is_evaluated_on_the_hold_out_and_on_each_gold_set(
    registry: Registry, frozen: Export, register: Callable, lexicon_model: Callable
) -> None:
    found = evaluate_version(registry, frozen, register(15).model_version)
    holdout = pl.read_parquet(frozen.holdout)
    expected = lexicon_model(15).predict_probability(holdout["text"])
    assert set(found) == {"holdout", "gold:manual"}
    assert found["holdout"] == evaluate(holdout["label"].to_numpy(), expected)
    assert found["gold:manual"].accuracy == 1.0


def test_rungs_of_an_earlier_hold_out_are_evaluated_on_the_one_of_today(
    world: Home, registry: Registry, frozen: Export, train: Callable[..., TrainedVersion], rows_of: Callable
) -> None:
    trained = [train(rows=rows) for rows in (200, 400, 800)]
    today = dataclasses.replace(frozen, holdout_digest="of today")
    outlook, _ = versions.look_ahead(world, registry, today, trained[-1])
    assert outlook.gain is not None
    assert rows_of(
        world, "select count_train_rows from learning_curve where holdout_digest = 'of today' order by 1"
    ) == [
        (200,),
        (400,),
        (800,),
    ]
    versions.look_ahead(world, registry, today, trained[-1])
    assert rows_of(world, "select count(*) from learning_curve where holdout_digest = 'of today'") == [(3,)]


def test_a_curve_is_of_one_kind_of_model(
    world: Home, registry: Registry, frozen: Export, train: Callable[..., TrainedVersion], rows_of: Callable
) -> None:
    trained = [train(rows=rows) for rows in (200, 400, 800, 1000)]
    of_all, _ = versions.look_ahead(world, registry, frozen, trained[-1])
    assert of_all.gain is not None
    config = """json_merge_patch(config, '{"effort": 2}')"""
    rows_of(world, f"update model_versions set config = {config} where count_train_rows = 1000")
    of_effort_2, _ = versions.look_ahead(world, registry, frozen, trained[-1])
    assert "no forecast yet. 1 subset" in of_effort_2.reason
    of_effort_1, _ = versions.look_ahead(world, registry, frozen, trained[0])
    assert of_effort_1.gain is not None
    assert of_effort_1.gain.from_rows == 800


def test_below_three_subsets_there_is_no_forecast(
    world: Home, registry: Registry, frozen: Export, train: Callable[..., TrainedVersion]
) -> None:
    outlook, _ = versions.look_ahead(world, registry, frozen, train(rows=200))
    assert (outlook.is_flat, outlook.gain) == (False, None)
    assert outlook.reason.startswith("There is no forecast yet. 1 subset says")
