"""Creates MLflow's database in the home, and follows the home when it is moved: `python -m sentiment.registry.store HOME`.

MLflow creates its tables by some fifty migrations when it first opens a store. A kill in between leaves a store that can never
be opened again. So the migrations run on a draft, which is renamed when it is complete. That takes 2 s, which `prepare` spares
every fresh home of an environment: it keeps an empty database for the version of MLflow that is installed there.

MLflow stores the absolute path of every artifact. A home that was moved, copied or restored elsewhere would go on reading and
writing at the old path, so the paths are updated when the store is opened. Takes 5 ms.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlparse, urlsplit
from urllib.request import url2pathname

from sentiment.errors import HomeError, ModelError
from sentiment.model.atomic import atomic_write, flush_to_disk, flush_tree, put_in_place
from sentiment.registry.environment import MLFLOW_ENVIRONMENT, import_mlflow
from sentiment.registry.names import CHAMPION, digest_tag
from sentiment.settings import Home
from sentiment.warehouse.connection import translated_errors
from sentiment.warehouse.seals import digest_of_file, refuse_damage, seal
from sentiment.warehouse.session import read_sql

RESTORE = "Restore the last backup into a new home: SENTIMENT_HOME=NEW sentiment restore FILE"


def create_store(home: Home) -> None:
    """Create the database if it is missing, and update its paths. The caller holds the lock against other processes."""
    _make_commits_last()
    store = home.mlflow / "mlflow.db"
    if store.exists():
        relocate(store, home)
        return
    for abandoned in home.mlflow.glob("draft*.db*"):
        abandoned.unlink()
    # MLflow believes for the life of a process that a database which it has made is there: each draft has a name of its own.
    draft = home.mlflow / f"draft-{secrets.token_hex(4)}.db"
    with translated_errors(home):
        if prepared_store().exists():
            shutil.copyfile(prepared_store(), draft)
        else:
            _make_tables(draft)
        put_in_place(draft, store)


def _make_commits_last() -> None:
    """Let what MLflow has committed in this process survive a power cut.

    SQLite commits by removing its journal, and by default does not flush that: the journal could be there again, and undo the
    commit. With `extra` it does.
    """
    # Not at the top: what only reads the database does without the 0.2 s of its import.
    from sqlalchemy import Engine, event

    if not event.contains(Engine, "connect", _flush_journals):
        event.listen(Engine, "connect", _flush_journals)


def _flush_journals(connection: object, record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute(read_sql("stores/flush_journals"))


def _make_tables(draft: Path) -> None:
    mlflow = import_mlflow()
    mlflow.MlflowClient(f"sqlite:///{draft}", f"sqlite:///{draft}").search_experiments(max_results=1)


def prepared_store() -> Path:
    """MLflow's empty database, kept in the virtual environment for the version of MLflow that is installed there."""
    return Path(sys.prefix) / "share" / "sentiment" / f"mlflow-{version('mlflow')}.db"


def prepare() -> None:
    """Write the prepared database, once per environment."""
    prepared_store().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, atomic_write(prepared_store()) as draft:
        _make_tables(Path(folder) / "mlflow.db")
        with closing(sqlite3.connect(Path(folder) / "mlflow.db")) as database:
            database.execute("vacuum into ?", [str(draft)])


def relocate(store: Path, home: Home) -> bool:
    """Update the paths in a store if they name another folder than this home's.

    Returns:
        whether they did.

    Raises:
        HomeError: the store is damaged.
    """
    refuse_damaged_store(store)
    artifacts = home.mlflow / "artifacts"
    with damage_as_sentence(store), closing(sqlite3.connect(store, timeout=60)) as database:
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
    flush_to_disk(store.parent)
    seal(store)
    return True


def champion_in_store(home: Home) -> int | None:
    """The champion, as `Registry.champion` finds it, in a millisecond: MLflow takes two seconds to import.

    Raises:
        HomeError: the store is damaged.
    """
    store = home.mlflow / "mlflow.db"
    if not store.exists():
        return None
    refuse_damaged_store(store)
    names = {"name": home.settings.model_name, "alias": CHAMPION}
    with damage_as_sentence(store), closing(sqlite3.connect(store, timeout=60)) as database:
        row = database.execute(read_sql("stores/select_champion"), names).fetchone()
    return None if row is None else int(row[0])


def refuse_damaged_store(store: Path) -> None:
    """Fail if MLflow's database has other bytes than were written.

    Raises:
        HomeError: names it, and what helps.
    """
    refuse_damage(store, RESTORE)


def flush_artifacts(address: str) -> None:
    """MLflow flushes its database and not its files: after a power cut a version would be there without its weights.

    Args:
        address: of a folder `<home>/mlflow/artifacts/<run>/artifacts` or `…/artifacts/models/<model>/artifacts`.
    """
    folder = Path(url2pathname(urlsplit(address).path))
    flush_tree(folder)
    # MLflow makes these as well, and each is a name in the one above.
    for parent in folder.parents[:4]:
        flush_to_disk(parent)


def purge_runs(home: Home, run_ids: Sequence[str]) -> None:
    """Remove deleted runs and their files for good.

    Raises:
        ModelError: MLflow could not.
    """
    uri = home.mlflow_store
    command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri, "--run-ids", ",".join(run_ids)]
    environment = os.environ | MLFLOW_ENVIRONMENT | {"MLFLOW_TRACKING_URI": uri}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise ModelError(f"MLflow could not remove deleted runs: {done.stderr.strip().splitlines()[-1:]}")
    flush_to_disk(home.mlflow)


@contextmanager
def rewritten_run_file(home: Home, path: Path) -> Iterator[None]:
    """Within this context a file of a run, `<run>/artifacts/<name>`, is replaced; its version then has the new digest.

    A kill in between leaves the version without a digest, as versions of earlier releases are.
    """
    names = {"tag": digest_tag(path.name), "run_id": path.parents[1].name}
    _execute(home, "stores/delete_file_digest", names)
    yield
    _execute(home, "stores/insert_file_digest", {**names, "digest": digest_of_file(path)})


def _execute(home: Home, script: str, parameters: dict[str, str]) -> None:
    store = home.mlflow / "mlflow.db"
    if store.exists():
        with damage_as_sentence(store), closing(sqlite3.connect(store, timeout=60)) as database:
            database.execute(read_sql(script), parameters)
            database.commit()
        flush_to_disk(store.parent)


@contextmanager
def damage_as_sentence(store: Path) -> Iterator[None]:
    """Within this context, a database that cannot be read is named with what helps."""
    try:
        yield
    except sqlite3.OperationalError:
        raise  # It is locked, or the disk is full.
    except sqlite3.DatabaseError as error:
        raise HomeError(f"{store} is damaged ({error}). {RESTORE}") from error


if __name__ == "__main__":
    if sys.argv[1:] == ["--prepare"]:
        prepare()
    else:
        create_store(Home(Path(sys.argv[1])).create())
