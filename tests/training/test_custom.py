"""A user's own module: found, copied, tried on a few texts, trained and resumed; each mistake is a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sentiment.errors import InputError, ModelError, TrainingError
from sentiment.model.classifier import SentimentModel
from sentiment.model.features import FeatureConfig
from sentiment.training.config import TrainingConfig, TrainingJob
from sentiment.training.custom import copy_source, describe, try_out
from sentiment.training.fit import Progress, TrainingResult, fit
from tests.training.test_fit import FEATURES, write_subset

NAME = "my_package.my_module:build"
EXAMPLE = re.findall(r"^```python\n(.*?)^```", Path("docs/own-model.md").read_text(), flags=re.MULTILINE | re.DOTALL)[0]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes `my_package` into the current folder: the example of the docs unless another module is given."""
    monkeypatch.chdir(tmp_path)

    def write(source: str = EXAMPLE, **others: str) -> Path:
        folder = tmp_path / "my_package"
        folder.mkdir(exist_ok=True)
        for name, text in {"__init__": "", "my_module": source, **others}.items():
            (folder / f"{name}.py").write_text(text)
        return folder

    return write


def job_of(folder: Path, rows: int = 600, seed: int = 1, model: str = NAME) -> TrainingJob:
    config = TrainingConfig(features=FEATURES, custom=describe(model), checkpoint_rows=150)
    assert config.custom is not None
    return TrainingJob(rows, config, seed, model=model, custom_folder=copy_source(model, config.custom, folder))


def train(tmp_path: Path, **options) -> TrainingResult:  # type: ignore[no-untyped-def]
    subset = write_subset(tmp_path / "subset.parquet", 600)
    return fit(job_of(tmp_path / "copy"), subset, fed_rows_path=tmp_path / "fed.parquet", **options)


def weights_of(result: TrainingResult) -> dict[str, list[float]]:
    return {name: value.flatten().tolist() for name, value in result.model.state_dict().items()}


def test_the_example_learns_and_counts_in_the_blend(package: Callable[..., Path], tmp_path: Path) -> None:
    package()
    model = train(tmp_path).model
    own = model.predict_part_logits(["lovely rain", "awful rain", ""])[:, 1]
    assert own[0] > own[1]
    assert model.config.encoder_weight > 0
    assert (model.predict_probability(["lovely rain", "awful rain"]) > 0.5).tolist() == [True, False]


def test_a_saved_model_has_its_own_copy_of_the_code(package: Callable[..., Path], tmp_path: Path) -> None:
    folder = package()
    model = train(tmp_path).model
    model.save(tmp_path / "model")
    expected = model.predict_probability(["lovely rain", "awful bus"])
    (folder / "my_module.py").write_text("raise RuntimeError('edited later')")
    loaded = SentimentModel.load(tmp_path / "model")
    assert loaded.predict_probability(["lovely rain", "awful bus"]) == pytest.approx(expected, abs=1e-6)
    names = {path.relative_to(tmp_path / "model").as_posix() for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert names == {
        "config.json",
        "weights.safetensors",
        "custom/my_package/__init__.py",
        "custom/my_package/my_module.py",
    }
