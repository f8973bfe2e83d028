"""The fresh process that loads a registered model: its compiled kernels are kept for the next model with the same code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
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


@pytest.mark.slow
def test_a_process_that_was_started_ahead_loads_one_model_and_the_next_one_is_another(
    registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    started: list[subprocess_check._FreshProcess] = []
    start = subprocess_check._FreshProcess.__init__

    def note(self: subprocess_check._FreshProcess, kernels: Path | None) -> None:
        started.append(self)
        start(self, kernels)

    monkeypatch.setattr(subprocess_check._FreshProcess, "__init__", note)
    with subprocess_check.ending_unused():
        subprocess_check.start_ahead()
        subprocess_check.start_ahead()
        assert len(started) == 1
        answers = predict_in_fresh_process(registered, TEXTS, tmp_path)
        assert len(started) == 1
        again = predict_in_fresh_process(registered, TEXTS, tmp_path)
        assert len(started) == 2
    assert isinstance(answers, pl.Series), answers
    assert isinstance(again, pl.Series), again
    assert again.equals(answers)


@pytest.mark.slow
def test_a_process_that_has_ended_before_it_is_asked_proves_nothing_against_a_model(
    registered: Path, tmp_path: Path
) -> None:
    with subprocess_check.ending_unused():
        subprocess_check.start_ahead()
        process = subprocess_check._ahead[0]._process
        process.kill()
        process.wait()
        answers = predict_in_fresh_process(registered, TEXTS, tmp_path)
    assert isinstance(answers, pl.Series), answers


def test_a_process_that_nobody_asked_is_ended(tmp_path: Path) -> None:
    with subprocess_check.ending_unused():
        subprocess_check.start_ahead()
        process = subprocess_check._ahead[0]._process
        assert process.poll() is None
    assert process.poll() is not None
    assert not subprocess_check._ahead


def test_a_process_whose_parent_has_ended_ends_without_a_word() -> None:
    script = (
        "import os\n"
        "from sentiment.registry import subprocess_check\n"
        "subprocess_check.start_ahead()\n"
        "print(subprocess_check._ahead[0]._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    parent = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert parent.stderr == ""
    child = Path(f"/proc/{int(parent.stdout)}")
    deadline = time.monotonic() + 60
    while child.exists() and time.monotonic() < deadline and "State:\tZ" not in (child / "status").read_text():
        time.sleep(0.1)
    assert not child.exists() or "State:\tZ" in (child / "status").read_text()
