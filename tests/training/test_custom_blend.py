"""A user's own module next to the other parts: on fewer rows than they, besides encoders, and as it was saved before."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from sentiment.model.classifier import SentimentModel
from sentiment.model.explanation import explain_in_full
from sentiment.training.fit import fit
from tests.training.conftest import EXAMPLE
from tests.training.test_custom import job_of, train
from tests.training.test_fit import write_subset


def test_it_trains_besides_encoders_and_all_of_them_count(package: Callable[..., Path], tmp_path: Path) -> None:
    package()
    job = job_of(tmp_path / "copy")
    job = dataclasses.replace(job, config=job.config.model_copy(update={"effort": 2}))
    subset = write_subset(tmp_path / "subset.parquet", 600)
    model = fit(job, subset, fed_rows_path=tmp_path / "fed.parquet").model
    logits = model.predict_part_logits(["lovely rain", "awful rain"])
    assert (logits[0, :3] > logits[1, :3]).all()
    assert model.encoders is not None
    words = explain_in_full(model, "lovely rain").words
    without = model.config.model_copy(update={"custom_weight": 0.0})
    model.save(tmp_path / "model")
    loaded = SentimentModel.load(tmp_path / "model")
    assert loaded.predict_part_logits(["lovely rain", "awful rain"]) == pytest.approx(logits, abs=1e-5)
    model.config = without
    assert explain_in_full(model, "lovely rain").words[0].encoder != words[0].encoder


def test_it_may_train_on_fewer_rows_than_the_ngrams(package: Callable[..., Path], tmp_path: Path) -> None:
    package()
    head = "def forward(self, texts: list[str]) -> Tensor:"
    counted = EXAMPLE.replace(head, f"{head}\n        self.seen += len(texts) * self.training")
    buffer = "self.register_buffer('seen', torch.tensor(0))"
    counted = counted.replace("super().__init__()", f"super().__init__()\n        {buffer}")
    seen = {}
    for rows in (None, 450, 5_000):
        package(counted)
        job = job_of(tmp_path / f"copy_{rows}")
        job = dataclasses.replace(job, config=job.config.model_copy(update={"custom_rows": rows}))
        subset = write_subset(tmp_path / "subset.parquet", 600)
        result = fit(job, subset, fed_rows_path=tmp_path / "fed.parquet")
        seen[rows] = int(result.model.custom.module.seen)
        fed = pl.read_parquet(tmp_path / "fed.parquet")
        assert len(fed) == 600
    assert seen[None] == seen[5_000] == 2 * result.count_train_rows
    assert 400 <= seen[450] <= 550


def test_a_model_of_the_version_before_says_what_it_said(package: Callable[..., Path], tmp_path: Path) -> None:
    package()
    model = train(tmp_path).model
    expected = model.predict_probability(["lovely rain", "awful bus"])
    model.save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["encoder_weight"] = config.pop("custom_weight")
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    weights = load_file(tmp_path / "model" / "weights.safetensors")
    earlier = {name.replace("custom.module.", "encoders.module."): value for name, value in weights.items()}
    assert earlier.keys() != weights.keys()
    save_file(earlier, tmp_path / "model" / "weights.safetensors")
    loaded = SentimentModel.load(tmp_path / "model")
    assert loaded.predict_probability(["lovely rain", "awful bus"]) == pytest.approx(expected, abs=1e-6)


def test_what_was_remembered_is_forgotten_when_weights_change(package: Callable[..., Path], tmp_path: Path) -> None:
    package()
    model = train(tmp_path).model
    custom, batch = model.custom, model.batch(pl.Series(["lovely rain"]))
    custom.remember(True)
    before = custom(batch)
    with torch.no_grad():
        for value in custom.parameters():
            value.mul_(2)
    assert torch.equal(custom(batch), before)
    custom.train()
    custom.eval()
    assert not torch.equal(custom(batch), before)
