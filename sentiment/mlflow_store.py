"""MLflow's database in the home, made whole or not at all: `python -m sentiment.mlflow_store HOME`.

MLflow makes its tables by some fifty migrations when a store is first opened, and a store whose migrations were cut short
by a kill can never be opened again. So they run on a draft, which gets its name when it is complete. Takes 2 s, once a home.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sentiment.settings import Home


def create_store(home: Home) -> None:
    """Make the database unless it is there; the caller keeps other processes from doing so at the same time."""
    store = home.mlflow / "mlflow.db"
    if store.exists():
        return
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow

    draft = home.mlflow / "draft.db"
    draft.unlink(missing_ok=True)
    mlflow.MlflowClient(f"sqlite:///{draft}", f"sqlite:///{draft}").search_experiments(max_results=1)
    draft.replace(store)


if __name__ == "__main__":
    create_store(Home(Path(sys.argv[1])))
