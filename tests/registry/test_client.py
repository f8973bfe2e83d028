"""The registry: versions found again by key, an alias that moves, and models that load where this project is not."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from mlflow.exceptions import MlflowException

from sentiment.errors import HomeError, ModelError
from sentiment.model.classifier import SentimentModel
from sentiment.model.config import EncoderConfig
from sentiment.registry import client as registry_module
from sentiment.registry.client import Registry
from sentiment.registry.names import CHAMPION
from sentiment.settings import Home

PREDICT = """
import json, sys
import mlflow

mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[2]}@champion")
found = model.predict(["sad1 today", "glad1 today", ""])
print(json.dumps({
    "labels": list(found["label"]),
    "probabilities": list(found["probability_positive"]),
    "imported": sorted({name.partition(".")[0] for name in sys.modules} & {"flows", "sentiment", "prefect", "duckdb"}),
}))
"""


def with_encoders(model: SentimentModel) -> SentimentModel:
    """The same n-grams, and encoders that say a little."""
    features = model.config.features.model_copy(update={"vector_bits": 8, "pair_bits": 8})
    update = {"features": features, "encoder": EncoderConfig(width=4, count=2), "encoder_weight": 0.1}
    richer = SentimentModel(model.config.model_copy(update=update))
    torch.manual_seed(5)
    for name, parameter in richer.named_parameters():
        parameter.data = model.ngrams.weight.data if name == "ngrams.weight" else torch.randn(parameter.shape) * 0.3
    richer.round_vectors()
    return richer


def test_a_champion_is_loaded_by_mlflow_alone_in_a_process_that_knows_nothing_of_this_project(
    registry: Registry, lexicon_model: Callable[[int], SentimentModel], tmp_path: Path
) -> None:
    model = with_encoders(lexicon_model(20))
    with registry.training_run("key", "with encoders") as run_id:
        registry.set_champion(registry.register(run_id, "key", model, {}, {}).model_version)
    command = [sys.executable, "-I", "-c", PREDICT, registry.uri, registry.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = model.predict_probability(["sad1 today", "glad1 today", ""])
    assert found["labels"] == ["positive" if value >= 0.5 else "negative" for value in expected]
    assert found["labels"][:2] == ["negative", "positive"]
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)
    assert found["imported"] == []


def test_a_new_home_has_no_champion_and_no_version(registry: Registry) -> None:
    assert registry.champion() is None
    assert registry.find("key") is None
    with pytest.raises(ModelError, match=r"There is no version 1 of tweet-sentiment; found none"):
        registry.version(1)


def test_versions_are_found_by_number_and_by_key(registry: Registry, register: Callable) -> None:
    first, second = register(5), register(6)
    assert (first.model_version, second.model_version) == (1, 2)
    assert registry.version(2) == second
    assert registry.find("key 5") == first
    assert registry.find("key 7") is None
    with pytest.raises(ModelError, match=r"There is no version 3 of tweet-sentiment; found 1, 2"):
        registry.version(3)


def test_of_two_versions_with_the_same_key_the_first_counts(registry: Registry, register: Callable) -> None:
    assert [register(5).model_version, register(5).model_version] == [1, 2]
    found = registry.find("key 5")
    assert found is not None
    assert found.model_version == 1


def test_the_alias_moves(registry: Registry, register: Callable) -> None:
    versions = [register(5), register(6)]
    for version in [*versions, versions[0]]:
        registry.set_champion(version.model_version)
        assert registry.champion() == version


def test_two_homes_do_not_touch(world: Home, registry: Registry, register: Callable, new_home: Callable) -> None:
    registry.set_champion(register(5).model_version)
    other = new_home()
    (other.mlflow / "mlflow.db").write_bytes((world.mlflow / "mlflow.db").read_bytes())
    registry.client.delete_registered_model_alias(registry.name, CHAMPION)
    assert Registry(world).champion() is None
    assert Registry(other).champion() is not None


def test_a_loaded_model_predicts_as_the_one_that_was_registered(
    registry: Registry, register: Callable, lexicon_model: Callable[[int], SentimentModel]
) -> None:
    texts = ["sad1", "glad1", "glad19", ""]
    found = registry.load(register(5).model_version).predict_probability(texts)
    np.testing.assert_array_equal(found, lexicon_model(5).predict_probability(texts))


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_damaged_weights_are_a_sentence(world: Home, registry: Registry, register: Callable, damage: str) -> None:
    version = register(5).model_version
    (weights,) = world.mlflow.rglob("weights.safetensors")
    if damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"files of version 1 .* are damaged"):
        registry.load(version)


def test_the_files_of_a_run_are_there_or_none(world: Home, registry: Registry, register: Callable) -> None:
    version = register(5)
    path = registry.fed_rows(version)
    assert path is not None
    assert pl.read_parquet(path).columns == ["tweet_id", "text_key"]
    assert registry.reference_predictions(version) is not None
    (listed,) = world.mlflow.rglob("fed_rows.parquet")
    listed.write_bytes(b"PAR1 damaged")
    assert registry.fed_rows(version) is None
    listed.unlink()
    assert registry.fed_rows(version) is None


def test_reading_the_files_of_a_run_leaves_no_copies(
    registry: Registry, register: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(5)
    (tmp_path / "system").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "system"))
    assert registry.fed_rows(version) is not None
    assert registry.reference_predictions(version) is not None
    registry.load(version.model_version)
    assert list((tmp_path / "system").iterdir()) == []


def test_a_registered_version_is_no_pickle_and_pins_what_it_needs(
    world: Home, registry: Registry, register: Callable
) -> None:
    register(5)
    (weights,) = world.mlflow.rglob("weights.safetensors")
    folder = weights.parents[2]
    assert [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth")] == []
    assert not any(path.read_bytes().startswith(b"\x80\x04") for path in folder.rglob("*") if path.is_file())
    pinned = (folder / "requirements.txt").read_text().split()
    assert all("==" in line and "+" not in line for line in pinned)
    assert {"torch", "polars", "safetensors"} <= {line.partition("==")[0] for line in pinned}
    described = (folder / "MLmodel").read_text()
    assert "signature" in described
    assert "probability_positive" in described


def test_nothing_is_left_in_the_work_folder(world: Home, registry: Registry, register: Callable) -> None:
    register(5)
    assert sorted(path.name for path in world.work.iterdir() if path.name != "duckdb") == [
        "fed.parquet",
        "probe.parquet",
    ]


def test_runs_of_a_killed_process_are_marked_when_it_is_tried_again(registry: Registry) -> None:
    with pytest.raises(KeyboardInterrupt), registry.training_run("key", "first"):
        raise KeyboardInterrupt
    killed = registry.client.create_run(registry.experiment_id, tags={"training_key": "key"}).info.run_id
    other = registry.client.create_run(registry.experiment_id, tags={"training_key": "other"}).info.run_id
    with registry.training_run("key", "second") as run_id:
        assert registry.client.get_run(run_id).info.status == "RUNNING"
    status = {run.info.run_id: run.info.status for run in registry.client.search_runs([registry.experiment_id])}
    assert status[killed] == "KILLED"
    assert status[other] == "RUNNING"
    assert status[run_id] == "FINISHED"


def test_what_a_training_takes_of_the_machine_is_written_down(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "_SECONDS_BETWEEN_SYSTEM_METRICS", 0.05)
    with registry.training_run("key", "run") as run_id:
        time.sleep(0.5)
    found = registry.client.get_run(run_id).data.metrics
    assert found["system/cpu_utilization_percentage"] >= 0
    assert found["system/system_memory_usage_megabytes"] > 0


def test_parameters_metrics_curve_and_dataset_are_logged(registry: Registry, frozen: object) -> None:
    with registry.training_run("key", "run") as run_id:
        registry.log(run_id, parameters={"rows": 5}, metrics={"accuracy": 0.75})
        registry.log_curve(run_id, [{"rows_seen": 10, "loss": 0.6}, {"rows_seen": 20, "loss": 0.5}], step="rows_seen")
        registry.log_dataset(run_id, 5, digest=frozen.data_digest, source=frozen.train)
    run = registry.client.get_run(run_id)
    assert (run.data.params["rows"], run.data.metrics["accuracy"]) == ("5", 0.75)
    history = registry.client.get_metric_history(run_id, "curve_loss")
    assert [(point.step, point.value) for point in history] == [(10, 0.6), (20, 0.5)]
    assert [each.dataset.name for each in run.inputs.dataset_inputs] == ["tweets, first 5 rows"]


def test_a_disk_that_is_full_when_the_first_run_is_prepared_is_said_in_a_sentence(
    new_home: Callable[[], Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise MlflowException("(sqlite3.OperationalError) database or disk is full")

    home = new_home()
    with monkeypatch.context() as patched:
        patched.setattr("mlflow.MlflowClient.create_experiment", fail)
        with pytest.raises(HomeError, match=r"disk that holds .* is full"):
            Registry(home)
    assert Registry(home).numbers() == []


def test_a_store_whose_creation_was_killed_is_made_anew(new_home: Callable[[], Home]) -> None:
    home = new_home()
    (home.mlflow / "draft.db").write_bytes(b"half of a database")
    assert Registry(home).champion() is None
    assert not (home.mlflow / "draft.db").exists()
