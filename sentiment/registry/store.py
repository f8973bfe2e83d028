"""Creates MLflow's database in the home, and follows the home when it is moved: `python -m sentiment.registry.store HOME`.

MLflow creates its tables by some fifty migrations when it first opens a store. A kill in between leaves a store that can never
be opened again. So the migrations run on a draft, which is renamed when it is complete. Takes 2 s, once a home.

MLflow stores the absolute path of every artifact. A home that was moved, copied or restored elsewhere would go on reading and
writing at the old path, so the paths are updated when the store is opened. Takes 5 ms.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote, urlparse

from sentiment.model.atomic import put_in_place
from sentiment.registry.environment import import_mlflow
from sentiment.settings import Home
from sentiment.warehouse.session import read_sql


def create_store(home: Home) -> None:
    """Create the database if it is missing, and update its paths. The caller holds the lock against other processes."""
    store = home.mlflow / "mlflow.db"
    if store.exists():
        relocate(store, home)
        return
    mlflow = import_mlflow()
    draft = home.mlflow / "draft.db"
    draft.unlink(missing_ok=True)
    mlflow.MlflowClient(f"sqlite:///{draft}", f"sqlite:///{draft}").search_experiments(max_results=1)
    put_in_place(draft, store)


def relocate(store: Path, home: Home) -> bool:
    """Update the paths in a store if they name another folder than this home's.

    Returns:
        whether they did.
    """
    artifacts = home.mlflow / "artifacts"
    with closing(sqlite3.connect(store, timeout=60)) as database:
        row = database.execute(read_sql("stores/select_mlflow_place")).fetchone()
        if row is None:
            return False
        noted = Path(unquote(urlparse(row[0]).path))
        with suppress(OSError):
            # The same folder under another name, such as a link: both work.
            if noted == artifacts or noted.samefile(artifacts):
                return False
        # <home>/mlflow/artifacts
        places = {"before": f"{noted.parents[1].as_uri()}/", "after": f"{home.root.absolute().as_uri()}/"}
        for statement in read_sql("stores/relocate_mlflow").split(";\n"):
            if statement.strip():
                database.execute(statement, places)
        database.commit()
    return True


if __name__ == "__main__":
    create_store(Home(Path(sys.argv[1])).create())
