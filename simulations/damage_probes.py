"""What `simulations.damage` does with a home: makes a whole one, and uses it as people do, in a process of its own."""

from __future__ import annotations

import asyncio
import csv
import html
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from flows.cli.status import gather_status
from sentiment.api.app import create_app
from sentiment.errors import InputError, SentimentError
from sentiment.gate import evidence
from sentiment.gate.decide import decide_on
from sentiment.ingest.corrections import correct
from sentiment.ingest.inspection import inspect_file
from sentiment.ingest.load import Instructions, ingest_file
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.ingest.sources import save_source, with_source
from sentiment.maintenance.backup import backup, restore
from sentiment.maintenance.doctor import diagnose
from sentiment.maintenance.erasure import forget
from sentiment.model.features import FeatureConfig
from sentiment.registry.champion import promote, rollback
from sentiment.registry.client import Registry
from sentiment.registry.environment import import_mlflow
from sentiment.registry.names import MODEL_DIGEST
from sentiment.sample import write_gold_sample, write_sample
from sentiment.scoring.score import score
from sentiment.settings import Home, Settings
from sentiment.training.config import TrainingConfig, TrainingJob
from sentiment.training.subsets import export
from sentiment.training.versions import look_ahead, train_version
from sentiment.warehouse.connection import writer
from sentiment.warehouse.query import query
from sentiment.warehouse.search_index import build, index_path
from sentiment.warehouse.snapshot import publish
from sentiment.workspace import Workspace
from simulations.children import CONTEXT
from simulations.operations import contents, load_here

SETTINGS = Settings(writer_wait_seconds=5)
SECONDS = 180
SMALL = TrainingConfig(features=FeatureConfig(ngram_bits=14, word_bits=12), checkpoint_rows=100)
JOBS = [TrainingJob(rows=rows, config=SMALL) for rows in (600, 1_800, 2_400)]
"""Of two champions, and of the training that was killed."""
TEXTS = ["what a lovely morning", "i hate this queue", "the food was not bad at all :)"]
BY = {"changed_by": "somebody", "reason": "a trial"}

Answers = dict[str, tuple[str, str]]
"""By what was done: `answer`, `sentence` (an error for users), `trace` or `crash`, and its text."""


# -- Making a home


class _KilledError(Exception):
    """Takes the place of a kill."""


def build_home(root: Path) -> None:
    """Make a home and the files around it, in a process of its own."""
    process = CONTEXT.Process(target=_build, args=(root,))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the home could not be made, status {process.exitcode}")


def _build(root: Path) -> None:
    root.mkdir()
    (root / "backups").mkdir()
    home = Home(root / "home", SETTINGS).create()
    evidence.predict_in_fresh_process = load_here  # type: ignore[attr-defined]
    write_sample(root / "history.csv", 5_000, seed=1)
    write_gold_sample(root / "gold.csv", 300, seed=2)
    ingest_file(home, root / "history.csv")
    ingest_file(home, root / "gold.csv", gold_set="by hand")
    _forget_somebody(home, root)
    registry = Registry(home)
    for job in JOBS[:2]:
        _retrain(home, job)
        with suppress(InputError):  # The gate did.
            promote(home, registry, len(registry.numbers()), **BY)
        score(home, registry, run_id="run")
    given = query_writer(home, "select tweet_id from tweets order by tweet_id limit 20")
    correct(home, given.select(pl.col("tweet_id").cast(pl.String), label=pl.lit("positive")), corrected_by="somebody")
    write_sample(root / "more.csv", 300, seed=3)
    ingest_file(home, root / "more.csv")
    _save_source(home, root / "shop.csv")
    publish(home)
    with suppress(_KilledError):
        _retrain(home, JOBS[2], kill_at=2)
    publish(home)
    index = index_path(home)
    index.parent.mkdir(exist_ok=True)
    list(build(home.published.resolve(), index, "800MB"))
    backup(home, root / "backups")


def query_writer(home: Home, statement: str) -> pl.DataFrame:
    """What a query finds in the warehouse."""
    with writer(home) as warehouse:
        return warehouse.connection.execute(statement).pl()


def _forget_somebody(home: Home, root: Path) -> None:
    """Forget the most active user, and keep their lines in a file that comes again."""
    user = query_writer(home, "select user_name from tweets group by 1 order by count(*) desc, 1 limit 1").item()
    with (root / "history.csv").open(encoding="latin-1", newline="") as file:
        lines = [line for line in csv.reader(file) if len(line) == 6 and line[4] == user]
    with (root / "again.csv").open("w", encoding="latin-1", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
            [*lines, *[[*line[:4], f"{line[4]}2", line[5]] for line in lines]]
        )
    forget(home, users=[user])


def _save_source(home: Home, path: Path) -> None:
    lines = [f"{number};{number % 5 + 1};{text} {number}" for number in range(40) for text in TEXTS]
    path.write_text("\n".join(["review;stars;comment", *lines]) + "\n")
    options = ReadingOptions(
        columns="text=comment,label=stars", labels="1=negative,2=negative,3=neutral,4=positive,5=positive", id="none"
    )
    save_source(home, "shop", inspect_file(path, options).reading, path)


def _retrain(home: Home, job: TrainingJob, kill_at: int | None = None) -> tuple[Registry, int, str]:
    """Train and judge a version, and say what more rows would bring; or die in the given step."""
    steps = 0

    def count(_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == kill_at:
            raise _KilledError

    registry = Registry(home)
    with writer(home) as warehouse:
        frozen = export(warehouse, home)
    trained = train_version(home, registry, frozen, job, count)
    outlook, _ = look_ahead(home, registry, frozen, trained)
    decide_on(home, registry, frozen, trained.version)
    # The rest of it names seconds.
    return registry, trained.version.model_version, outlook.reason.partition("Version")[2]


# -- Using it


def _status(home: Home) -> Any:
    found = gather_status(home)
    del found["disk"]
    return found


def _doctor(home: Home) -> Any:
    return [vars(finding) for finding in diagnose(home, free_bytes=1 << 40) if not finding.is_well]


def _sql(home: Home) -> Any:
    tables = query(home, "select table_name from duckdb_tables() where not internal order by 1")["table_name"]
    digests = {
        name: query(home, f'select count(*), sum(hash(columns(*)))::varchar from "{name}"').rows() for name in tables
    }
    return digests, query(
        home, "select label, count(*), sum(probability_positive) from scored_tweets group by 1 order by 1"
    ).rows()


def _predict(home: Home) -> Any:
    workspace = Workspace(home)
    return workspace.predict(TEXTS).to_dicts(), workspace.explain(TEXTS[2]).to_dicts()


def _pages(home: Home) -> Any:
    """The desk's pages, without the model that answers."""

    async def ask() -> list[str]:
        app = create_app(home)
        found = []
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            for path in ("/tweets?q=love", "/tweets?label=negative&sort=unsure", "/topics"):
                answer = await client.get(path)
                while "Preparing the pages" in answer.text:  # A browser asks again as well.
                    await asyncio.sleep(0.3)
                    answer = await client.get(path)
                if answer.status_code != 200:
                    raise SentimentError(" ".join(re.sub(r"<[^>]+>", " ", html.unescape(answer.text)).split())[-700:])
                found.append(answer.text)
        app.state.service.close()
        return found

    return asyncio.run(ask())


def _score(home: Home) -> Any:
    registry = Registry(home)
    report = score(home, registry, run_id="probe")
    publish(home)
    columns = "tweet_id, model_version, probability_positive, probability_neutral, label"
    return report.count_scored, query(home, f"select {columns} from predictions order by all").hash_rows().sum()


def _ingest(home: Home) -> Any:
    found = []
    for name, options in (
        ("again.csv", ReadingOptions()),
        ("shop.csv", with_source(home, ReadingOptions(source="shop"))),
    ):
        report = vars(ingest_file(home, home.root.parent / name, instructions=Instructions(options, max_rejected=1)))
        found.append({key: value for key, value in report.items() if key != "seconds"})
    labels = query_writer(home, "select label, count(*) from tweets group by 1 order by 1").rows()
    return found, labels


def _retrain_again(home: Home) -> Any:
    registry, version, outlook = _retrain(home, JOBS[2])
    registered = registry.client.get_model_version(registry.name, str(version))
    # The interval of a bootstrap and what speed was measured may differ.
    columns = "check_name, champion_value, challenger_value, passed"
    decisions = (
        f"select {columns}, reason from decisions where model_version = {version} and check_name <> 'speed' order by 1"
    )
    curve = "select count_train_rows, evaluation_set, accuracy from learning_curve order by all"
    told = query_writer(home, decisions).to_dicts(), query_writer(home, curve).rows(), outlook
    return registered.tags[MODEL_DIGEST], told


def _roll_back(home: Home) -> Any:
    change = rollback(home, Registry(home), **BY)
    publish(home)
    return vars(change), query(home, "select count(*), sum(probability_positive) from scored_tweets").rows()


def _restore(home: Home) -> Any:
    (path,) = (home.root.parent / "backups").iterdir()
    fresh = Home(home.root.parent / "restored", SETTINGS).create()
    restore(fresh, path)
    return contents(fresh.root)


def _settle(home: Home) -> Any:
    Registry(home)
    publish(home)


READING: dict[str, Callable[[Home], Any]] = {
    "status": _status,
    "doctor": _doctor,
    "sql": _sql,
    "predict": _predict,
    "pages": _pages,
}
WRITING: dict[str, Callable[[Home], Any]] = {
    "score": _score,
    "ingest": _ingest,
    "retrain": _retrain_again,
    "rollback": _roll_back,
    "restore": _restore,
}
PROBES: dict[str, Callable[[Home], Any]] = {**READING, **WRITING, "settle": _settle}


def _work(asked: Connection) -> None:
    evidence.predict_in_fresh_process = load_here  # type: ignore[attr-defined]
    while True:
        try:
            root, name = asked.recv()
        except EOFError:
            return
        try:
            value = PROBES[name](Home(root / "home", SETTINGS))
            found = "answer", json.dumps(value, default=str, sort_keys=True)
        except SentimentError as error:
            found = "sentence", str(error)
        except Exception as error:
            found = "trace", f"{type(error).__name__}: {error}"[:600]
        asked.send(found)


class User:
    """Uses homes in a process of its own; one that crashes, or says nothing for minutes, is replaced."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._line, there = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=_work, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def use(self, root: Path, names: Sequence[str]) -> Answers:
        """Do some things with the home below a folder, until one of them crashes."""
        found: Answers = {}
        for name in names:
            if name == "pages":  # Their connections stay open, and DuckDB knows them by the paths of their files.
                other = User()
                found[name] = other._ask(root, name)
                other.end()
            else:
                found[name] = self._ask(root, name)
            if found[name][0] == "crash":
                break
        return found

    def _ask(self, root: Path, name: str) -> tuple[str, str]:
        try:
            self._line.send((root, name))
            if not self._line.poll(SECONDS):
                raise TimeoutError(f"no answer within {SECONDS} s")
            answer: tuple[str, str] = self._line.recv()
        except (EOFError, OSError) as error:
            self.end()
            answer = "crash", str(error) or f"ended with status {self._process.exitcode}"
            self._start()
        return answer

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


import_mlflow()
