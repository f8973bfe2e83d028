"""Load a registered model in a process of its own and predict: `python -m sentiment.registry.subprocess_check FILES IN OUT`.

Loading a model in the process that trained it proves nothing: all it needs is in memory there. MLflow registers models
that cannot be loaded at all. The new process gets the folder that the registry names, since opening MLflow's store takes longer
than loading the model.
"""

from __future__ import annotations

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


def predict_in_fresh_process(files: Path, texts: pl.Series, folder: Path) -> pl.Series | str:
    """Probabilities (float64, shape (rows,)) from the model loaded by MLflow in a fresh process, or why it failed.

    Args:
        files: the model's folder, as `Registry.files` gives it.
        texts: what to predict.
        folder: for the files that the processes exchange.
    """
    questions, answers = folder / "texts.parquet", folder / "probabilities.parquet"
    pl.DataFrame({"text": texts}).write_parquet(questions)
    command = [sys.executable, "-m", "sentiment.registry.subprocess_check", str(files), str(questions), str(answers)]
    try:
        with _kernel_cache() as kept:
            environment = os.environ | MLFLOW_ENVIRONMENT | kept | {"PYTHONWARNINGS": "ignore"}
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False
            )
    except subprocess.TimeoutExpired:
        return f"no answer within {SECONDS} s."
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["it ended without a word."])[-1]
    return pl.read_parquet(answers)["probability_positive"]


@contextmanager
def _kernel_cache() -> Iterator[dict[str, str]]:
    """Environment variables that let numba keep the copy's compiled kernels where it keeps those of the installed package.

    One process at a time, since two that compile the same function for different types would replace each other's code.
    """
    package = Path(model.__file__).parent
    folder = os.environ.get("NUMBA_CACHE_DIR") or (
        str(package / "__pycache__") if os.access(package, os.W_OK) else None
    )
    lock = FileLock(Path(folder) / "registered_models.lock") if folder else None
    try:
        if lock:
            lock.acquire(timeout=SECONDS_TO_WAIT)
    except (OSError, Timeout):
        lock = None
    if lock is None:
        yield {}  # Numba keeps it next to the copy, or nowhere.
        return
    try:
        yield {"NUMBA_CACHE_DIR": str(folder), "NUMBA_CACHE_LOCATOR_CLASSES": CACHE_LOCATOR}
    finally:
        lock.release()


def main() -> None:
    """The child process of `predict_in_fresh_process`."""
    files, questions, answers = sys.argv[1:]
    collect_rarely()
    import mlflow

    loaded = mlflow.pyfunc.load_model(files, suppress_warnings=True)
    found = loaded.predict(pl.read_parquet(questions)["text"].to_list())
    pl.DataFrame({"probability_positive": found["probability_positive"].to_numpy()}).write_parquet(answers)


if __name__ == "__main__":
    main()
