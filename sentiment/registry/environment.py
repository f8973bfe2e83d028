"""Sets up MLflow in a process, by environment variables alone: quiet, without telemetry; and imports it without waste.

The library reads the environment and never writes it. The application does: `flows` sets these variables when it is
imported, which every command, flow and server does first.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
from types import ModuleType

MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # Of files on this disk.
    # A connection pool would go on reading a store that `restore` has replaced.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    # Hugging Face counts downloads from its hub.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GIT_PYTHON_REFRESH": "quiet",  # Without git on the machine, MLflow would print a page of warnings.
}


def collect_rarely() -> None:
    """Let this process import large libraries, and end, without looking for garbage among their objects.

    MLflow, Prefect and torch make 700,000 objects that stay. By default Python looks through them nine times while they are
    imported, which takes 1.7 of 7.4 CPU seconds, and when the process ends, which takes 2 more.
    """
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)


def import_mlflow() -> ModuleType:
    """MLflow, quiet and without telemetry, also where `MLFLOW_ENVIRONMENT` is not in force."""
    import mlflow
    from mlflow.telemetry import client
    from mlflow.utils import environment

    # MLflow announces every registration and migration at INFO; the runs say it in their own words.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It prints the trace of every error that it raises.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    # The import above created it; it sends nothing before the first record. MLflow has no public way to drop it.
    client._set_telemetry_client(None)
    # When a model is saved, MLflow reads the list of files of every installed package, to warn of versions that are not
    # installed. Those of a registered model are read off the installation.
    environment.warn_dependency_requirement_mismatches = lambda model_requirements: None  # type: ignore[attr-defined]
    return mlflow


def import_for_training() -> None:
    """Import what a training needs sooner or later, which takes some seconds: where a command waits for something else."""
    import_mlflow()
    for name in (
        "mlflow.pyfunc",
        "mlflow.store.model_registry.sqlalchemy_store",
        "mlflow.store.tracking.sqlalchemy_store",
        "torch",
    ):
        importlib.import_module(name)
