"""The fresh process that loads a registered model: its compiled kernels are kept for the next model with the same code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from filelock import FileLock

from sentiment.model.classifier import SentimentModel
from sentiment.registry import subprocess_check
from sentiment.registry.client import Registry
from sentiment.registry.subprocess_check import predict_in_fresh_process

TEXTS = pl.Series(["a glad1 day", "sad2 and sad3", ""])


def compiled(folder: Path) -> dict[str, bytes]:
    """What numba keeps in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.rglob("*.nb?")}


@pytest.fixture
def registered(registry: Registry, lexicon_model: Callable[[int], SentimentModel]) -> Path:
    """The files of a registered version."""
    with registry.training_run("key", "a model") as run_id:
        registry.register(run_id, "key", lexicon_model(20), {}, {})
    return registry.files(1)


@pytest.mark.slow
def test_a_second_model_with_the_same_code_is_not_compiled_again(
    registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kernels"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(kept))
    first, second = registered, tmp_path / "second"
    shutil.copytree(first, second)

    answers = predict_in_fresh_process(first, TEXTS, tmp_path)
    assert isinstance(answers, pl.Series), answers
    after_first = compiled(kept)
    assert after_first
    again = predict_in_fresh_process(second, TEXTS, tmp_path)
    assert isinstance(again, pl.Series), again
    assert again.equals(answers)
    assert compiled(kept) == after_first
    # Files of a registered model stay as they were registered.
    assert not compiled(first)
    assert not compiled(second)

    # Other code with functions of the same names is compiled, and not taken for the code before.
    (kernels,) = second.rglob("sentiment_model/kernels.py")
    source = kernels.read_text()
    other = source.replace("sums[row] = total", "sums[row] = total + 5")
    assert other != source
    kernels.write_text(other)
    moved = predict_in_fresh_process(second, TEXTS, tmp_path)
    assert isinstance(moved, pl.Series), moved
    assert (moved > answers).all()


@pytest.mark.slow
def test_kernels_that_another_process_works_on_are_not_waited_for_in_vain(
    registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kernels"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(kept))
    monkeypatch.setattr(subprocess_check, "SECONDS_TO_WAIT", 0.1)
    with FileLock(kept / "registered_models.lock"):
        answers = predict_in_fresh_process(registered, TEXTS, tmp_path)
    assert isinstance(answers, pl.Series), answers
    assert not compiled(kept / "sentiment_model")


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_does_not_keep_a_model_from_loading(
    registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "a file"))
    answers = predict_in_fresh_process(registered, TEXTS, tmp_path)
    assert isinstance(answers, pl.Series), answers


def test_training_imports_no_compiler_of_torch(tmp_path: Path) -> None:
    """It takes more than a second, and nothing here compiles with it."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sentiment.training.config import TrainingJob\n"
        "from sentiment.training.fit import fit\n"
        "from tests.training.test_fit import FEATURES, TrainingConfig, write_subset\n"
        "folder = Path(sys.argv[1])\n"
        "config = TrainingConfig(effort=1, features=FEATURES, checkpoint_rows=150)\n"
        "subset = write_subset(folder / 'rows.parquet', 600)\n"
        "result = fit(TrainingJob(600, config), subset, fed_rows_path=folder / 'fed.parquet')\n"
        "assert result.model.ngrams.weight.detach().any()\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=True, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}
    )
