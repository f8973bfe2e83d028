"""What `simulations.failpoints` and `simulations.full_disk` do to homes, the homes they start from, and what homes then hold."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from sentiment import clock
from sentiment.errors import InputError, ModelError, SentimentError
from sentiment.gate import evidence
from sentiment.gate.decide import decide_on
from sentiment.ingest.corrections import correct
from sentiment.ingest.load import ingest_file
from sentiment.maintenance import retention
from sentiment.maintenance.backup import backup, restore
from sentiment.maintenance.erasure import finish_forgetting, forget
from sentiment.maintenance.retention import keep_house
from sentiment.maintenance.withdrawal import withdraw
from sentiment.model.classifier import SentimentModel
from sentiment.model.features import FeatureConfig
from sentiment.registry.champion import promote, rollback
from sentiment.registry.client import Registry
from sentiment.registry.store import relocate
from sentiment.sample import write_sample
from sentiment.scoring.score import score
from sentiment.settings import Home, Settings
from sentiment.training.config import TrainingConfig, TrainingJob
from sentiment.training.subsets import export
from sentiment.training.versions import look_ahead, train_version
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.snapshot import publish
from simulations.children import CONTEXT

ROWS = 6_000
SMALL = TrainingConfig(features=FeatureConfig(ngram_bits=14, word_bits=12), checkpoint_rows=500)
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
        trained = train_version(home, registry, frozen, TrainingJob(rows=rows, config=SMALL))
        look_ahead(home, registry, frozen, trained)
        decide_on(home, registry, frozen, trained.version)
        publish(home)

    return run


def _score(home: Home) -> None:
    score(home, Registry(home), run_id="run", chunk_rows=2_000)
    publish(home)


def _promote(home: Home) -> None:
    registry = Registry(home)
    promote(home, registry, max(registry.numbers()), changed_by="somebody", reason="a trial")


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


def _leave_behind(home: Home) -> None:
    """What housekeeping removes once it is old: a version that never became champion, a failed run, files of killed ones."""
    _retrain(500)(home)
    registry = Registry(home)
    with suppress(InterruptedError), registry.training_run("0", "a run that fails"):
        raise InterruptedError
    for folder in (home.reports, home.logs, home.checkpoints, home.work, home.published.parent):
        folder.mkdir(exist_ok=True)
        (folder / "error-left.txt.part").with_suffix(".txt" if folder == home.logs else ".part").write_text("left")


def _keep_house(home: Home) -> None:
    """A year later, where no version is new and no free block worth keeping."""
    retention.NEWEST_VERSIONS = retention.FREE_BYTES = 0
    retention.FREE_SHARE = 0.0
    with clock.play(datetime.now(UTC) + timedelta(days=365)):
        keep_house(home, Registry(home))


SCORED = ("ingest", "retrain", "score")
TWO_CHAMPIONS = (*SCORED, "challenge", "promote", "rescore")
OPERATIONS = {
    "ingest": Operation(_ingest("history"), ()),
    "retrain": Operation(_retrain(1_000), ("ingest",)),
    "score": Operation(_score, ("ingest", "retrain")),
    "challenge": Operation(_retrain(4_000), SCORED),
    "promote": Operation(_promote, (*SCORED, "challenge"), lambda error: "already" in str(error)),
    "rescore": Operation(_score, (*SCORED, "challenge", "promote")),
    "rollback": Operation(_champion_back, TWO_CHAMPIONS, lambda error: "first" in str(error)),
    "ingest more": Operation(_ingest("more"), SCORED),
    "correct": Operation(_correct, SCORED),
    "forget": Operation(_forget, SCORED),
    "withdraw": Operation(
        lambda home: withdraw(home, str(home.root.parent / "more.csv")) and None,
        (*SCORED, "ingest more"),
        lambda error: isinstance(error, InputError),
    ),
    "backup": Operation(_backup, SCORED),
    "restore": Operation(_restore, (*SCORED, "backup")),
    "housekeeping": Operation(_keep_house, (*TWO_CHAMPIONS, "rollback", "leave behind")),
}
_ALL = OPERATIONS | {"leave behind": Operation(_leave_behind, ())}
"""With what is done only to make the homes that others start from."""


def load_here(files: Path, texts: pl.Series, folder: Path) -> pl.Series:
    """The gate's check `loads` in this process: a fresh one takes seconds, and is killed as any other is."""
    model = SentimentModel.load(files / "artifacts" / "model")
    return pl.Series(model.predict_probability(texts)).cast(pl.Float64)


# -- Running one in a process of its own


@dataclass(frozen=True)
class Ending:
    """How an operation ended.

    Attributes:
        how: `done`, `sentence`, `trace` or `crash`.
        said: the error.
        contents: what the home holds then, if that was asked.
    """

    how: str
    said: str = ""
    contents: dict[str, Any] = field(default_factory=dict)


def do(name: str, root: Path) -> None:
    """Run an operation in this process."""
    evidence.predict_in_fresh_process = load_here  # type: ignore[attr-defined]
    # Libraries that put something aside do it in the home as well.
    tempfile.tempdir = str(root / "work")
    _ALL[name].run(Home(root, SETTINGS))


def _child(name: str, root: Path, does: bool, looks: bool, answer: Connection) -> None:
    try:
        if does:
            do(name, root)
        ending = Ending("done")
    except SentimentError as error:
        ending = Ending("done" if _ALL[name].is_done(error) else "sentence", str(error))
    except BaseException as error:
        ending = Ending("trace", f"{type(error).__name__}: {error}"[:600])
    if looks and ending.how == "done":
        ending = replace(ending, contents=contents(examined(name, root)))
    answer.send(ending)


def run_operation(name: str, root: Path, *, does: bool = True, looks: bool = False) -> Ending:
    """Run an operation, and say what the home then holds; or do one of both."""
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_child, args=(name, root, does, looks, there))
    process.start()
    there.close()
    try:
        ending: Ending = here.recv()
    except EOFError:
        ending = Ending("crash")
    process.join()
    return ending


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
    registry = Registry(home)
    champion = registry.champion()
    found["champion"] = champion and champion.model_version
    found["damaged versions"] = [number for number in registry.numbers() if not _is_whole(registry, number)]
    # What a kill leaves in `work` is removed by housekeeping.
    found["drafts"] = sorted(path.name for path in root.rglob("*.part") if home.work not in path.parents)
    return found


def _is_whole(registry: Registry, number: int) -> bool:
    with suppress(ModelError):
        registry.load(number)
        version = registry.version(number)
        return None not in (registry.fed_rows(version), registry.reference_predictions(version))
    return False


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
                    if (ending := run_operation(before[-1], home)).how != "done":
                        raise RuntimeError(f"{before[-1]} does not work: {ending}")
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


if __name__ == "__main__":
    do(sys.argv[1], Path(sys.argv[2]))
