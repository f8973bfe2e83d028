"""Load a registered model in a process of its own and predict: `python -m sentiment.registry.subprocess_check`.

Loading a model in the process that trained it proves nothing: all it needs is in memory there. MLflow registers models
that cannot be loaded at all. The new process gets the folder that the registry names, since opening MLflow's store takes longer
than loading the model. Most of its time it imports libraries, so it can be started before the model is there (`start_ahead`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from filelock import FileLock, Timeout

from sentiment import model
from sentiment.registry.environment import MLFLOW_ENVIRONMENT, collect_rarely

SECONDS = 300
SECONDS_TO_WAIT = 60.0
CACHE_LOCATOR = "sentiment.registry.kernel_cache.CopiedCodeLocator"


class _FreshProcess:
    """A process that imports libraries, and then waits on standard input for one model; ends when this process does."""

    def __init__(self, kernels: Path | None) -> None:
        """Start it.

        Args:
            kernels: where numba keeps compiled kernels; by default next to the model, or nowhere.
        """
        kept = {"NUMBA_CACHE_DIR": str(kernels), "NUMBA_CACHE_LOCATOR_CLASSES": CACHE_LOCATOR} if kernels else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sentiment.registry.subprocess_check"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | MLFLOW_ENVIRONMENT | kept | {"PYTHONWARNINGS": "ignore"},
        )

    def predict(self, files: Path, questions: Path, answers: Path) -> str:
        """Let it load a model and write what it predicts; returns why that failed, or nothing."""
        try:
            _, errors = self._process.communicate(json.dumps([str(files), str(questions), str(answers)]), SECONDS)
        except subprocess.TimeoutExpired:
            self.end()
            return f"no answer within {SECONDS} s."
        if self._process.returncode == 0:
            return ""
        return (errors.strip().splitlines() or ["it ended without a word."])[-1]

    @property
    def has_ended(self) -> bool:
        """Whether it has, for want of memory perhaps."""
        return self._process.poll() is not None

    def end(self) -> None:
        """Kill it and wait for its end."""
        self._process.kill()
        self._process.communicate()


_ahead: list[_FreshProcess] = []
"""At most one."""


def start_ahead() -> None:
    """Start the process that the next `predict_in_fresh_process` asks, unless there is one; see `ending_unused`."""
    if not _ahead:
        _ahead.append(_FreshProcess(_kernel_folder()))


@contextmanager
def ending_unused() -> Iterator[None]:
    """At the end, end the process that was started ahead if nobody has asked it."""
    try:
        yield
    finally:
        while _ahead:
            _ahead.pop().end()


def predict_in_fresh_process(files: Path, texts: pl.Series, folder: Path) -> pl.Series | str:
    """Probabilities (float64, shape (rows,)) from the model loaded by MLflow in a fresh process, or why it failed.

    Args:
        files: the model's folder, as `Registry.files` gives it.
        texts: what to predict.
        folder: for the files that the processes exchange.
    """
    questions, answers = folder / "texts.parquet", folder / "probabilities.parquet"
    pl.DataFrame({"text": texts}).write_parquet(questions)
    with _kernel_cache() as kernels:
        if _ahead and (kernels is None or _ahead[0].has_ended):
            _ahead.pop().end()  # Without the folder for itself, it would keep kernels where another process does.
        process = _ahead.pop() if _ahead else _FreshProcess(kernels)
        if problem := process.predict(files, questions, answers):
            return problem
    return pl.read_parquet(answers)["probability_positive"]


def _kernel_folder() -> Path | None:
    """Where numba keeps the kernels of the installed package, if that can be written."""
    if folder := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(folder)
    package = Path(model.__file__).parent
    return package / "__pycache__" if os.access(package, os.W_OK) else None


@contextmanager
def _kernel_cache() -> Iterator[Path | None]:
    """The folder of `_kernel_folder` for this process alone, or None.

    Two processes that compile the same function for different types would replace each other's code.
    """
    folder = _kernel_folder()
    lock = FileLock(folder / "registered_models.lock") if folder else None
    try:
        if lock:
            lock.acquire(timeout=SECONDS_TO_WAIT)
    except (OSError, Timeout):
        lock = None
    if lock is None:
        yield None
        return
    try:
        yield folder
    finally:
        lock.release()


def main() -> None:
    """The process that loads."""
    collect_rarely()
    import mlflow.pyfunc
    import numba  # noqa: F401 (with torch, most of what a model imports)
    import torch  # noqa: F401

    question = sys.stdin.read()
    if not question:
        return  # The process that would have asked has ended.
    files, questions, answers = json.loads(question)
    loaded = mlflow.pyfunc.load_model(files, suppress_warnings=True)
    found = loaded.predict(pl.read_parquet(questions)["text"].to_list())
    pl.DataFrame({"probability_positive": found["probability_positive"].to_numpy()}).write_parquet(answers)


if __name__ == "__main__":
    main()
