"""Kill an operation at each of its failpoints and run it again: `python -m simulations.failpoints [OPERATION ...] [--kills N]`.

A failpoint is the moment before or after something becomes lasting: a commit of DuckDB or SQLite, a statement outside a
transaction, a rename or a removal in the home. They are found by watching the operation run once, so that a new one cannot be
forgotten.

Each trial starts from a copy of the same home. A process runs the operation and is killed at one failpoint; another one runs
it again. What the home then holds must be what it holds when nothing was killed, the checks in `sql/checks` must pass, and
readers must have had a snapshot at every moment.

A power cut loses more than a kill: what was not flushed to the disk. So every rename in the home is checked too: what is renamed
must have been flushed since it was written, or at the end of the operation where MLflow renames, and the folder must be flushed
after. DuckDB and SQLite do so themselves.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from sentiment.errors import InputError, SentimentError
from sentiment.gate import evidence
from sentiment.gate.decide import decide_on
from sentiment.ingest.corrections import correct
from sentiment.ingest.load import ingest_file
from sentiment.maintenance.backup import backup, restore
from sentiment.maintenance.erasure import finish_forgetting, forget
from sentiment.maintenance.retention import keep_house
from sentiment.maintenance.withdrawal import withdraw
from sentiment.model.classifier import SentimentModel
from sentiment.registry.champion import rollback
from sentiment.registry.client import Registry
from sentiment.registry.store import relocate
from sentiment.sample import write_sample
from sentiment.scoring.score import score
from sentiment.settings import Home, Settings
from sentiment.training.config import TrainingJob
from sentiment.training.subsets import export
from sentiment.training.versions import look_ahead, train_version
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.snapshot import publish
from simulations.failpoint_watch import Watch

ROWS = 6_000
SETTINGS = Settings(writer_wait_seconds=5, keep_versions=1)
CHECKS = (
    "tweets_are_unique",
    "predictions_are_unique",
    "files_reconcile",
    "published_version_is_complete",
    "scored_ranges_hold",
)
# What a second run cannot repeat: times, ids of runs, the order in which rows were changed, what a run cost.
VOLATILE = ("_at", "run_id", "change_number", "seconds", "peak_mb", "first_number", "end_number")


@dataclass(frozen=True)
class Operation:
    """Something that a command or a flow does to a home.

    Attributes:
        before: operations that make the home it starts from.
        is_done: of an error of the second run: whether it says that the first one had done all.
    """

    run: Callable[[Home], None]
    before: tuple[str, ...]
    is_done: Callable[[SentimentError], bool] = lambda error: False


def _ingest(name: str, **options: Any) -> Callable[[Home], None]:
    def run(home: Home) -> None:
        path = home.root.parent / f"{name}.csv"
        if not path.exists():
            number = len(name)
            write_sample(path, ROWS // (1 if name == "history" else 10), seed=number)
        ingest_file(home, path, **options)
        publish(home)

    return run


def _retrain(rows: int) -> Callable[[Home], None]:
    def run(home: Home) -> None:
        registry = Registry(home)
        with writer(home) as warehouse:
            frozen = export(warehouse, home)
        trained = train_version(home, registry, frozen, TrainingJob(rows=rows))
        look_ahead(home, registry, frozen, trained)
        decide_on(home, registry, frozen, trained.version)
        publish(home)

    return run


def _score(home: Home) -> None:
    score(home, Registry(home), run_id="run", chunk_rows=2_000)
    publish(home)


def _champion_back(home: Home) -> None:
    rollback(home, Registry(home), changed_by="somebody", reason="a trial")


def _correct(home: Home) -> None:
    with writer(home) as warehouse:
        ids = warehouse.connection.execute("select tweet_id from tweets order by tweet_id limit 20").pl()
    given = ids.select(pl.col("tweet_id").cast(pl.String), label=pl.lit("positive"))
    correct(home, given, corrected_by="somebody")


def _forget(home: Home) -> None:
    if home.forgetting.exists():
        finish_forgetting(home)
        return
    with writer(home) as warehouse:
        found = warehouse.connection.execute(
            "select user_name from tweets where user_name is not null group by 1 order by count(*) desc, 1 limit 1"
        ).fetchone()
    assert found is not None
    # The second request names the same user, even if another one is the most active by then.
    asked = home.root.parent / "asked"
    if not asked.exists():
        asked.write_text(str(found[0]))
    forget(home, users=[asked.read_text()])


def _backup(home: Home) -> None:
    folder = home.root.parent / "backups"
    folder.mkdir(exist_ok=True)
    backup(home, folder)


def _restore(home: Home) -> None:
    """Into an empty home; what it holds then is compared as that of any other operation."""
    (path,) = (home.root.parent / "backups").glob("*.tar.zst")
    fresh = Home(home.root.parent / "restored", SETTINGS).create()
    restore(fresh, path)


OPERATIONS = {
    "ingest": Operation(_ingest("history"), ()),
    "retrain": Operation(_retrain(1_000), ("ingest",)),
    "score": Operation(_score, ("ingest", "retrain")),
    "challenge": Operation(_retrain(4_000), ("ingest", "retrain", "score")),
    "rescore": Operation(_score, ("ingest", "retrain", "score", "challenge")),
    "rollback": Operation(
        _champion_back, ("ingest", "retrain", "score", "challenge", "rescore"), lambda error: "first" in str(error)
    ),
    "ingest more": Operation(_ingest("more"), ("ingest", "retrain", "score")),
    "correct": Operation(_correct, ("ingest", "retrain", "score")),
    "forget": Operation(_forget, ("ingest", "retrain", "score")),
    "withdraw": Operation(
        lambda home: withdraw(home, str(home.root.parent / "more.csv")) and None,
        ("ingest", "retrain", "score", "ingest more"),
        lambda error: isinstance(error, InputError),
    ),
    "backup": Operation(_backup, ("ingest", "retrain", "score")),
    "restore": Operation(_restore, ("ingest", "retrain", "score", "backup")),
    "housekeeping": Operation(
        lambda home: keep_house(home, Registry(home)) and None, ("ingest", "retrain", "score", "challenge", "rescore")
    ),
}


# -- Running one in a process of its own


def load_here(files: Path, texts: pl.Series, folder: Path) -> pl.Series:
    """The gate's check `loads` in this process: a fresh one takes seconds, and is killed as any other is."""
    model = SentimentModel.load(files / "artifacts" / "model")
    return pl.Series(model.predict_probability(texts)).cast(pl.Float64)


def _child(name: str, root: Path, stop_at: int | None, answer: Connection) -> None:
    evidence.predict_in_fresh_process = load_here  # type: ignore[attr-defined]
    watch = Watch(root.parent, stop_at)
    watch.install()
    try:
        OPERATIONS[name].run(Home(root, SETTINGS))
    except SentimentError as error:
        if not OPERATIONS[name].is_done(error):
            raise
    watch.end()
    answer.send((watch.seen, watch.unflushed))


CONTEXT = multiprocessing.get_context("forkserver")
# The children inherit what takes seconds to import.
CONTEXT.set_forkserver_preload([__name__])


def run_in_child(name: str, root: Path, stop_at: int | None = None) -> tuple[list[str], list[str]] | None:
    """Run an operation in a process of its own.

    Returns:
        the failpoints it passed, and what it renamed without flushing it; None if it was killed.

    Raises:
        RuntimeError: it failed.
    """
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_child, args=(name, root, stop_at, there))
    process.start()
    there.close()
    try:
        found: tuple[list[str], list[str]] | None = here.recv()
    except EOFError:
        found = None
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{name} in {root} ended with status {process.exitcode}")
    return found


# -- Homes, and what they hold


def copy_home(source: Path, target: Path) -> Path:
    """Copy a home and the files next to it to another folder; returns the home."""
    shutil.copytree(source.parent, target, symlinks=True)
    home = target / source.name
    if (store := home / "mlflow" / "mlflow.db").exists():
        relocate(store, Home(home))
    return home


def contents(root: Path) -> dict[str, Any]:
    """Counts and digests of all tables but for what cannot be repeated, the champion, and files that nobody needs."""
    home = Home(root, SETTINGS)
    found: dict[str, Any] = {}
    with writer(home) as warehouse:
        found["failed checks"] = [check for check in CHECKS if warehouse.run(f"checks/{check}").fetchall()]
        tables = warehouse.connection.execute("select table_name from duckdb_tables() where not internal").fetchall()
        for (table,) in sorted(tables):
            found[table] = _digest(warehouse.connection, table, root)
    with reader(home) as snapshot:
        found["published tweets"] = snapshot.connection.execute("select count(*) from scored_tweets").fetchone()
    champion = Registry(home).champion()
    found["champion"] = champion and champion.model_version
    found["drafts"] = sorted(path.name for path in root.rglob("*.part"))
    return found


def _digest(connection: duckdb.DuckDBPyConnection, table: str, root: Path) -> tuple[Any, ...]:
    described = connection.execute(f'describe "{table}"').fetchall()
    columns = [row[0] for row in described if not row[0].endswith(VOLATILE)]
    rows = f'"{table}"'
    if table == "forgotten":
        # By a key that each home draws for itself.
        columns.remove("digest")
    if table == "decisions":
        rows = "(from decisions where check_name <> 'speed')"
    if table == "scored_ranges":
        rows = "(select model_version, sum(count_rows) as count_rows from scored_ranges group by all)"
        columns = ["model_version", "count_rows"]
    # Homes lie in folders of their own, and files are known by their paths.
    place = str(root.parent).replace("'", "''")
    values = ", ".join(f"coalesce(replace(\"{column}\"::varchar, '{place}', ''), chr(1))" for column in columns) or "''"
    found = connection.execute(
        "select count(*), md5(string_agg(line, '' order by line)) from "
        f"(select md5(concat_ws('|', {values})) as line from {rows})"
    ).fetchone()
    assert found is not None
    return found


@contextmanager
def templates() -> Iterator[Callable[[str], Path]]:
    """Gives the home that an operation starts from, made when it is first asked for."""
    made: dict[tuple[str, ...], Path] = {}
    with tempfile.TemporaryDirectory(prefix="failpoints-") as folder:

        def make(before: tuple[str, ...]) -> Path:
            if before not in made:
                if before:
                    former = make(before[:-1])
                    home = copy_home(former, Path(folder) / f"template-{len(made)}")
                    run_in_child(before[-1], home)
                else:
                    target = Path(folder) / "template-0"
                    target.mkdir()
                    home = Home(target / "home", SETTINGS).create().root
                    publish(Home(home, SETTINGS))
                made[before] = home
            return made[before]

        yield lambda name: make(OPERATIONS[name].before)


def examined(name: str, home: Path) -> Path:
    """The home that an operation leaves behind: the restored one, or the one it worked in."""
    return home.parent / "restored" if name == "restore" else home


def trials(name: str, template: Path, folder: Path, count: int | None = None) -> Iterator[dict[str, Any]]:
    """Kill an operation at so many of its failpoints, evenly spread, or at all, and say what differs after a second run."""
    folder.mkdir(exist_ok=True)
    undisturbed = copy_home(template, folder / "undisturbed")
    found = run_in_child(name, undisturbed)
    assert found is not None, "nothing killed it"
    seen, unflushed = found
    yield {"operation": name, "failpoint": "none", "killed": True, "different": unflushed}
    expected = contents(examined(name, undisturbed))

    def trial(number: int) -> dict[str, Any]:
        home = copy_home(template, folder / f"trial-{number}")
        was_killed = run_in_child(name, home, number) is None
        with reader(Home(home, SETTINGS)) as snapshot:
            # Readers have a whole snapshot in this very moment.
            snapshot.connection.execute("select count(*) from scored_tweets").fetchone()
        run_in_child(name, home)
        found = contents(examined(name, home))
        different = sorted(key for key in expected if found.get(key) != expected[key])
        shutil.rmtree(home.parent)
        return {"operation": name, "failpoint": seen[number], "killed": was_killed, "different": different}

    chosen = (
        range(len(seen)) if count is None else [len(seen) * (2 * number + 1) // (2 * count) for number in range(count)]
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(trial, chosen)


def main() -> None:
    """Print each trial that did not end as it should, and the counts by operation."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("operations", nargs="*", help=f"of {', '.join(OPERATIONS)}")
    parser.add_argument(
        "--kills", type=int, help="failpoints of each operation to try, evenly spread; all unless given"
    )
    options = parser.parse_args()
    failed = 0
    with templates() as template_of:
        for name in options.operations or OPERATIONS:
            with tempfile.TemporaryDirectory(prefix="failpoints-") as folder:
                outcomes = list(trials(name, template_of(name), Path(folder), options.kills))
            bad = [outcome for outcome in outcomes if outcome["different"] or not outcome["killed"]]
            for outcome in bad:
                print(json.dumps(outcome), flush=True)
            failed += len(bad)
            print(f"{name}: {len(outcomes)} kills, {len(bad)} ended otherwise", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
