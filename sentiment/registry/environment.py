"""How MLflow is set up in a process: quiet, without telemetry, and by nothing but environment variables and its import.

The library reads the environment and never writes it. The application does: `flows` sets these variables when it is
imported, which every command, flow and server does first.
"""

from __future__ import annotations

import logging
from types import ModuleType

MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # Of files on this disk.
    # Without a pool, a store that was put in the place of another one, by `restore`, is seen at once.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    # Hugging Face's hub counts downloads by default, also of what a user's own environment is.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GIT_PYTHON_REFRESH": "quiet",  # On a machine without git, MLflow would print a page about that.
}


def import_mlflow() -> ModuleType:
    """MLflow, quiet and without telemetry, also where `MLFLOW_ENVIRONMENT` is not in force."""
    import mlflow
    from mlflow.telemetry import client

    # MLflow announces every registration and migration at INFO; the runs say it in their own words.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Created by the import above, it sends nothing before the first record; MLflow has no public way to drop it.
    client._set_telemetry_client(None)
    return mlflow
