"""What people and schedules do in a simulated year, each in a process of its own that can be killed.

Two people share the home: each has a user id of their own, one group, and another umask; where this does not run as root, the
umask alone. What takes seconds to import is imported once, in the process that these are forked from.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import polars as pl

from sentiment import clock
from sentiment.errors import SentimentError
from sentiment.settings import Home, open_home
from simulations.year_people import ANN, Person

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["simulations.year_preloaded", "simulations.year_picture", "simulations.year_account"])
PATIENCE = 300


@dataclass(frozen=True)
class Work:
    """What is done, and with what; `at` is the time that it takes for now."""

    name: str
    at: datetime | None = None
    given: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Troubles:
    """What is wrong with the machine while something is done.

    Attributes:
        open_files: how many files a process may have open.
        proxy: address that the variables for proxies hold.
        kill_after: seconds until it is killed.
        is_whole_tree: whether everything that it started is killed with it.
    """

    open_files: int | None = None
    proxy: str | None = None
    kill_after: float | None = None
    is_whole_tree: bool = False


@dataclass(frozen=True)
class Ending:
    """How something ended: `done`, `sentence` (an error for users), `trace`, `killed` or `crash`; and what it gave or said."""

    how: str
    said: str = ""
    value: Any = None
    seconds: float = 0.0
    processor_seconds: float = 0.0


@dataclass
class Machine:
    """Starts processes in a home.

    Attributes:
        url: of the home's Prefect server.
        processor_seconds: of all that was not killed.
    """

    root: Path
    url: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    processor_seconds: float = 0.0

    def do(self, work: Work, person: Person = ANN, troubles: Troubles = Troubles()) -> Ending:
        """Do something, and wait for its end."""
        began = time.perf_counter()
        here, there = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=_child, args=(work, person, troubles, self.root, self.url, there))
        process.start()
        there.close()
        if troubles.kill_after is not None:
            process.join(troubles.kill_after)
        was_killed = troubles.kill_after is not None and process.is_alive() and process.pid is not None
        if was_killed:
            with suppress(ProcessLookupError):
                (os.killpg if troubles.is_whole_tree else os.kill)(process.pid, signal.SIGKILL)
        ending = Ending("killed" if was_killed else "crash", f"status {process.exitcode}")
        with suppress(EOFError, ConnectionError):
            if not was_killed and here.poll(PATIENCE):
                ending = here.recv()
        process.join(20)
        if process.is_alive():
            process.kill()
        seconds = time.perf_counter() - began
        self.seconds[work.name] = self.seconds.get(work.name, 0.0) + seconds
        self.processor_seconds += ending.processor_seconds
        return replace(ending, seconds=seconds)


def _child(work: Work, person: Person, troubles: Troubles, root: Path, url: str, answer: Connection) -> None:
    from flows.cli.terminal import allow_open_files
    from flows.server.proxies import reach_this_machine_directly

    os.setsid()
    person.become()
    os.environ |= {"SENTIMENT_HOME": str(root), "HOME": str(root / "work"), "LOGNAME": person.name}
    if troubles.proxy is not None:
        os.environ.update(dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), troubles.proxy))
        reach_this_machine_directly(os.environ)
    try:
        if troubles.open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (troubles.open_files, troubles.open_files))
            allow_open_files()
        ending = Ending("done", value=_with_prefect(work, root, url))
    except SentimentError as error:
        ending = Ending("sentence", str(error))
    except BaseException as error:
        import traceback

        where = "".join(traceback.format_exception(error))[-1500:]
        ending = Ending("trace", f"{type(error).__name__}: {error}"[:600] + f"\n{where}")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    answer.send(replace(ending, processor_seconds=sum(usage.ru_utime + usage.ru_stime for usage in used)))
    answer.close()
    # Threads of libraries, and events for a server whose pages nobody looks at, keep nobody waiting.
    os._exit(0)


def _with_prefect(work: Work, root: Path, url: str) -> Any:
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_HOME,
        PREFECT_LOCAL_STORAGE_PATH,
        temporary_settings,
    )

    prefect = Home(root).prefect.resolve()
    settings = {
        PREFECT_API_URL: url,
        PREFECT_HOME: prefect,
        PREFECT_LOCAL_STORAGE_PATH: prefect / "storage",
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with temporary_settings(settings):
        return WORKS[work.name](work)


# -- What is done, in a process of its own


_home = open_home


def _ingest(work: Work) -> None:
    from flows.ingest import IngestOptions, ingest

    ingest(IngestOptions(as_of=work.at))


def _score(work: Work) -> None:
    from flows.score import ScoreOptions, score

    score(ScoreOptions(as_of=work.at))


def _housekeeping(work: Work) -> None:
    from flows.housekeeping import HousekeepingOptions, housekeeping

    housekeeping(HousekeepingOptions(as_of=work.at))


def _monitor(work: Work) -> list[dict[str, Any]]:
    from flows.monitor import MonitorOptions, monitor

    report = monitor(MonitorOptions(as_of=work.at))
    assert report is not None
    return [
        {
            "day": str(alarm.day),
            "measure": alarm.measure,
            "value": alarm.value,
            "threshold": alarm.threshold,
            "is_drift": alarm.is_drift,
        }
        for alarm in report.alarms
    ]


def _retrain(work: Work) -> dict[str, Any]:
    from flows.retrain import RetrainOptions, retrain
    from sentiment.gate.decision import Outcome

    summary = retrain(RetrainOptions(as_of=work.at))
    decision = summary.decision
    return {
        "model_version": decision.model_version,
        "rows": summary.trained.count_train_rows,
        "is_promoted": decision.outcome is Outcome.PROMOTED,
        "failed": [check.check_name for check in decision.verdict.failed],
    }


def _save_sources(work: Work) -> None:
    from sentiment.ingest.inspection import inspect_file
    from sentiment.ingest.mapping.reading import ReadingOptions
    from sentiment.ingest.sources import save_source
    from simulations.year_layouts import COLUMNS

    home = _home()
    for name, columns in COLUMNS.items():
        (example,) = (home.inbox / name).glob("history.*")
        save_source(home, name, inspect_file(example, ReadingOptions(columns=columns, source=name)).reading, example)


def _correct(work: Work) -> int:
    from sentiment.ingest.corrections import correct, read_corrections
    from sentiment.warehouse.snapshot import publish

    path, who = work.given
    home = _home()
    report = correct(home, read_corrections(path), corrected_by=who)
    publish(home)
    return report.count_written + report.count_unchanged


def _forget(work: Work) -> int:
    from sentiment.maintenance.erasure import forget

    return forget(_home(), users=[work.given[0]]).count_tweets


def _withdraw(work: Work) -> int:
    from sentiment.maintenance.withdrawal import withdraw

    return withdraw(_home(), work.given[0]).count_tweets


def _backup(work: Work) -> str:
    from sentiment.maintenance.backup import backup

    folder = Path(work.given[0])
    former = list(folder.glob("*.tar.zst"))
    backup(_home(), folder, with_inbox=False)
    for path in former:
        path.unlink()
    (made,) = folder.glob("*.tar.zst")
    return str(made)


def _restore(work: Work) -> None:
    from sentiment.maintenance.backup import restore

    restore(_home(), Path(work.given[0]))


def _promote(work: Work) -> None:
    from sentiment.registry.champion import promote
    from sentiment.registry.client import Registry
    from sentiment.warehouse.snapshot import publish

    home = _home()
    with clock.play(work.at):
        promote(home, Registry(home), work.given[0], changed_by="ann", reason=work.given[1])
    publish(home)


def _tidy_alias(work: Work) -> None:
    from sentiment.registry.client import Registry
    from sentiment.registry.names import CHAMPION

    registry = Registry(_home())
    registry.client.delete_registered_model_alias(registry.name, CHAMPION)


def _tidy_version(work: Work) -> int | None:
    from sentiment.registry.client import Registry

    registry = Registry(_home())
    champion = registry.champion()
    assert champion is not None
    registry.client.delete_model_version(registry.name, str(champion.model_version))
    return champion.model_version


def _champion(work: Work) -> tuple[int | None, str | None]:
    from sentiment.registry.client import Registry

    registry = Registry(_home())
    champion = registry.champion()
    if champion is None:
        return None, None
    return champion.model_version, champion.run_id


def _query(work: Work) -> list[tuple[Any, ...]]:
    """Labels that readers see of the tweets of some time."""
    from sentiment.warehouse.connection import reader

    with reader(_home()) as snapshot:
        return snapshot.connection.execute(
            "select tweet_id, label, probability_positive >= 0.5, model_version from scored_tweets "
            "where posted_at >= ? and posted_at < ?",
            list(work.given),
        ).fetchall()


WORKS: dict[str, Callable[[Work], Any]] = {
    "ingest": _ingest,
    "score": _score,
    "monitor": _monitor,
    "retrain": _retrain,
    "housekeeping": _housekeeping,
    "save sources": _save_sources,
    "correct": _correct,
    "forget": _forget,
    "withdraw": _withdraw,
    "backup": _backup,
    "restore": _restore,
    "promote": _promote,
    "tidy alias": _tidy_alias,
    "tidy version": _tidy_version,
    "champion": _champion,
    "query": _query,
}


def write_corrections_file(path: Path, rows: list[tuple[int, str]]) -> None:
    """A file as `sentiment correct` takes it."""
    pl.DataFrame(rows, schema={"tweet_id": pl.String, "label": pl.String}, orient="row").write_csv(path)
    path.chmod(0o644)
