"""A tiny BERT of random weights, with a tokenizer trained here, is fine-tuned offline as any Hugging Face model would be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from sentiment.errors import InputError, ModelError, TrainingError
from sentiment.model.classifier import SentimentModel
from sentiment.model.config import CustomConfig
from sentiment.model.custom import CustomEncoder
from sentiment.model.features import FeatureConfig
from sentiment.model.hugging_face import sides_of
from sentiment.registry.mlflow_format import requirements
from sentiment.training.config import TrainingConfig, TrainingJob
from sentiment.training.custom import by_length, copy_source, describe, try_out
from sentiment.training.fit import Progress, TrainingResult, fit
from tests.training.test_fit import FEATURES, write_subset

transformers = pytest.importorskip("transformers", reason="the extra `transformers` is not installed")

TEXTS = ["lovely rain", "awful bus", "", "great dinner 3 of music and football"]


@pytest.fixture
def bert(tmp_path: Path, write_bert: Callable[..., Path]) -> Path:
    """A bare encoder."""
    return write_bert(tmp_path / "tiny")


@pytest.fixture
def fast_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights have much to learn, from 600 rows."""
    monkeypatch.setattr("sentiment.training.custom._FINE_TUNING_RATE", 5e-3)


def job_of(bert: Path, copy: Path) -> TrainingJob:
    model = f"hf:{bert}"
    config = TrainingConfig(features=FEATURES, custom=describe(model), checkpoint_rows=150)
    assert config.custom is not None
    return TrainingJob(600, config, 1, model=model, custom_folder=copy_source(model, config.custom, copy))


def train(bert: Path, folder: Path, **options: Any) -> TrainingResult:
    folder.mkdir(exist_ok=True)
    subset = write_subset(folder / "subset.parquet", 600)
    return fit(job_of(bert, folder / "copy"), subset, fed_rows_path=folder / "fed.parquet", **options)


def weights_of(result: TrainingResult) -> dict[str, list[float]]:
    return {name: value.flatten().tolist() for name, value in result.model.state_dict().items()}


@pytest.mark.usefixtures("fast_learning")
def test_it_learns_and_a_saved_model_needs_neither_the_folder_nor_a_pickle(bert: Path, tmp_path: Path) -> None:
    model = train(bert, tmp_path / "run").model
    own = model.predict_part_logits(["lovely rain", "awful rain"])[:, 2]
    assert own[0] > own[1]
    expected = model.predict_probability(TEXTS)
    model.save(tmp_path / "model")
    for path in bert.iterdir():
        path.unlink()
    loaded = SentimentModel.load(tmp_path / "model")
    assert loaded.predict_probability(TEXTS) == pytest.approx(expected, abs=1e-6)
    assert {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()} <= {
        ".json",
        ".txt",
        ".safetensors",
    }
    assert "transformers" in requirements(loaded)


@pytest.mark.usefixtures("fast_learning")
@pytest.mark.parametrize("killed_after_groups", [4, 9])
def test_a_killed_run_goes_on_to_the_same_weights(bert: Path, tmp_path: Path, killed_after_groups: int) -> None:
    whole = weights_of(train(bert, tmp_path / "whole"))
    calls: list[Progress] = []

    def kill(progress: Progress) -> None:
        calls.append(progress)
        if len(calls) == killed_after_groups:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(bert, tmp_path / "killed", checkpoint_folder=tmp_path / "checkpoints", on_progress=kill)
    assert (tmp_path / "checkpoints" / "checkpoint.safetensors").exists()
    assert weights_of(train(bert, tmp_path / "killed", checkpoint_folder=tmp_path / "checkpoints")) == whole


def test_training_begins_with_the_pretrained_weights(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentiment.training.custom._FINE_TUNING_RATE", 0.0)
    model = train(bert, tmp_path / "run").model
    pretrained = transformers.AutoModel.from_pretrained(bert).state_dict()
    found = model.state_dict()
    assert all(torch.equal(found[f"custom.module.network.{name}"], value) for name, value in pretrained.items())


def test_a_classifier_keeps_its_head_and_says_what_it_said(tmp_path: Path, write_bert: Callable[..., Path]) -> None:
    names = {0: "negative", 1: "neutral", 2: "positive"}
    options = {"id2label": names, "label2id": {name: place for place, name in names.items()}}
    folder = write_bert(tmp_path / "classifier", "BertForSequenceClassification", **options)
    job = job_of(folder, tmp_path / "copy")
    encoder = CustomEncoder(job.config.custom, tmp_path / "copy").eval()
    from sentiment.training.pretrained import load_pretrained

    load_pretrained(encoder.module, f"hf:{folder}")
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS, return_tensors="pt", padding=True)
    expected = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()(**tokens).logits
    assert torch.allclose(encoder.module(TEXTS), expected[:, 2] - expected[:, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("names", "sides"),
    [
        (["NEGATIVE", "POSITIVE"], (1, 0)),
        (["Positive", "Negative"], (0, 1)),
        (["LABEL_0", "LABEL_1"], (1, 0)),
        (["LABEL_0", "LABEL_1", "LABEL_2"], None),
        (["1 star", "5 stars"], None),
    ],
)
def test_the_sides_of_a_head_are_known_by_its_labels(names: list[str], sides: tuple[int, int] | None) -> None:
    config = transformers.BertConfig(
        architectures=["BertForSequenceClassification"], id2label=dict(enumerate(names)), num_labels=len(names)
    )
    assert sides_of(config) == sides
    config.architectures = ["BertModel"]
    assert sides_of(config) is None


def test_it_passes_the_try_out_and_reads_the_beginning_of_a_long_text(bert: Path, tmp_path: Path) -> None:
    job = job_of(bert, tmp_path / "copy")
    assert job.config.custom is not None
    try_out(job.config.custom, tmp_path / "copy", FeatureConfig(), None)
    module = CustomEncoder(job.config.custom, tmp_path / "copy").eval().module
    long = "lovely " * 500
    assert torch.equal(module([long]), module([long + "awful"]))


def test_batches_have_texts_of_similar_length_and_each_row_once() -> None:
    lengths = np.random.default_rng(1).integers(1, 140, 1000)
    texts = pl.Series(["x" * length for length in lengths])
    order = by_length(texts, np.random.default_rng(2), 32)
    assert sorted(order.tolist()) == list(range(1000))
    widths = [np.ptp(lengths[order[first : first + 32]]) for first in range(0, 1000, 32)]
    assert max(widths) < 15
    means = [lengths[order[first : first + 32]].mean() for first in range(0, 960, 32)]
    assert means != sorted(means)
    assert (order == by_length(texts, np.random.default_rng(2), 32)).all()


def test_another_model_or_its_weights_alone_make_another_version(
    bert: Path, tmp_path: Path, write_bert: Callable[..., Path]
) -> None:
    first = describe(f"hf:{bert}")
    assert first.name == "hf:tiny"
    moved = bert.rename(tmp_path / "elsewhere")
    assert describe(f"hf:{moved}").digest == first.digest
    write_bert(moved, hidden_dropout_prob=0.3)
    assert describe(f"hf:{moved}").digest != first.digest


def test_files_that_are_missing_or_pickled_are_named(bert: Path) -> None:
    (bert / "model.safetensors").rename(bert / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"has no model.safetensors \(pytorch_model.bin is a pickle.*not read\)"):
        describe(f"hf:{bert}")
    (bert / "config.json").unlink()
    with pytest.raises(InputError, match=r"has no config\.json"):
        describe(f"hf:{bert}")


def test_code_that_comes_with_a_model_is_never_run(bert: Path, tmp_path: Path) -> None:
    config = json.loads((bert / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (bert / "config.json").write_text(json.dumps(config))
    (bert / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    job = job_of(bert, tmp_path / "copy")
    assert job.config.custom is not None
    with pytest.raises(TrainingError, match="cannot be built by transformers"):
        try_out(job.config.custom, tmp_path / "copy", FeatureConfig(), None)
    assert not (tmp_path / "ran").exists()


def test_a_name_that_is_no_folder_is_looked_for_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"no folder 'no/such-model' on this machine, and Hugging Face's hub gave no"):
        describe("hf:no/such-model")


def test_without_transformers_it_says_what_to_install(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_of(bert, tmp_path / "copy")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"needs the package transformers, which is not installed.*pip install"):
        CustomEncoder(CustomConfig(name="hf:tiny", digest=""), tmp_path / "copy")


def test_transformers_is_imported_for_a_hugging_face_model_alone() -> None:
    code = "import sys, sentiment.training.fit, sentiment.model.explanation; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
