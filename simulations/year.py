"""Simulates a year, day by day: `python -m simulations.year`. Takes three quarters of an hour of one processor.

A source sends a file a day (`simulations.year_source`), with six changes of stated sizes and seven incidents planted: files
that are cut short or damaged, a source that is silent, a machine that is off, a new file format, twenty days sent again.
The real flows run on a Prefect server of the home, each with the time of its schedule as now (`as_of`): at night `ingest`
and then `score`, as the events would start them; in the morning `monitor`, and `retrain` when that requests it. A night on which the machine is off has no run at all, and the next one does its work. To simulate it in an hour, runs that
would find nothing are left out (`ingest` every 15 minutes, `score` every hour), `housekeeping` comes on Mondays
instead of daily, and the scheduled `retrain` every fourth week instead of every one.

Prefect's and MLflow's clocks cannot be set: their records carry today's times, so Prefect's database is not pruned here,
and its size at the end is what a year adds without pruning. Files that flows leave in the home get the time of the simulated
day, which housekeeping goes by. At the end `simulations.year_account` asks the tables
whether anything was lost, scored twice, promoted without reasons, not loaded or missed, and for false alarms.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from flows.server.ephemeral import connect
from sentiment.errors import InputError
from sentiment.gate.decision import Outcome
from sentiment.settings import Home
from sentiment.warehouse.connection import reader
from simulations.year_account import account
from simulations.year_picture import draw
from simulations.year_source import OFF, START, Source

DAYS_BETWEEN_TRAININGS = 28
HOUSEKEEPING_ON = 0
RESULTS = Path(__file__).with_name("results")
PARTS = ("warehouse.duckdb", "published", "mlflow", "prefect", "exports", "reports", "checkpoints", "work", "logs")


@dataclass
class Diary:
    """What happened, day by day; a row of `costs` and `disk` a day."""

    alarms: list[dict[str, Any]] = field(default_factory=list)
    refused_files: list[dict[str, Any]] = field(default_factory=list)
    retrains: list[dict[str, Any]] = field(default_factory=list)
    accuracy: list[dict[str, Any]] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)
    disk: list[dict[str, Any]] = field(default_factory=list)


class Year:
    """The home, its source, and the flows at their times."""

    def __init__(self, home: Home, source: Source, diary: Diary) -> None:
        from flows.housekeeping import HousekeepingOptions, housekeeping
        from flows.ingest import IngestOptions, ingest
        from flows.monitor import MonitorOptions, monitor
        from flows.retrain import RetrainOptions, retrain
        from flows.score import ScoreOptions, score

        self.home, self.source, self.diary = home, source, diary
        self.flows: dict[str, Callable[[datetime], Any]] = {
            "ingest": lambda at: ingest(IngestOptions(as_of=at)),
            "score": lambda at: score(ScoreOptions(as_of=at)),
            "retrain": lambda at: retrain(RetrainOptions(as_of=at)),
            "housekeeping": lambda at: housekeeping(HousekeepingOptions(as_of=at)),
            "monitor": lambda at: monitor(MonitorOptions(as_of=at)),
        }
        self.seconds: dict[str, float] = {}

    def run(self, name: str, at: datetime) -> Any:
        """Run a flow at a played time."""
        began = time.perf_counter()
        try:
            return self.flows[name](at)
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def begin(self) -> None:
        """The weeks before the year: history in one file, and a first model."""
        at = _at(0, 12)
        self.source.send_history()
        self.age(at - timedelta(hours=1))
        self.run("ingest", at)
        self.retrain(0, at + timedelta(minutes=10), "first model")
        self.run("score", at + timedelta(minutes=20))

    def play(self, day: int) -> None:
        """A day of the source, and the night and morning after it."""
        self.seconds.clear()
        self.source.send(day)
        self.age(_at(day + 1, 0))
        if day not in OFF:
            self.night(day)
        self.age(_at(day + 1, 8))
        self.diary.costs.append({"day": day, **{name: round(value, 2) for name, value in self.seconds.items()}})
        self.diary.disk.append({"day": day, **{part: _bytes_of(self.home.root / part) for part in PARTS}})

    def night(self, day: int) -> None:
        """What the schedules start between midnight and seven."""
        try:
            self.run("ingest", _at(day + 1, 0, 15))
        except InputError as error:
            self.diary.refused_files.append({"day": day, "said": str(error).replace(f"{self.home.inbox}/", "")})
        self.run("score", _at(day + 1, 0, 20))
        if day % DAYS_BETWEEN_TRAININGS == 1:
            self.retrain(day, _at(day + 1, 2), "schedule")
        if _date(day + 1).weekday() == HOUSEKEEPING_ON:
            self.run("housekeeping", _at(day + 1, 4, 30))
        report = self.run("monitor", _at(day + 1, 6, 30))
        self.diary.alarms += [
            {
                "told_on": str(_date(day + 1)),
                "day": str(alarm.day),
                "measure": alarm.measure,
                "value": alarm.value,
                "threshold": alarm.threshold,
            }
            for alarm in report.alarms
        ]
        self.look_at_accuracy(day)
        if any(alarm.is_drift for alarm in report.alarms):
            self.retrain(day, _at(day + 1, 6, 35), "drift")

    def retrain(self, day: int, at: datetime, why: str) -> None:
        """A challenger; when it becomes champion, `score` follows."""
        summary = self.run("retrain", at)
        decision = summary.decision
        is_new = decision.outcome is Outcome.PROMOTED
        self.diary.retrains.append(
            {
                "day": str(_date(day + 1)),
                "why": why,
                "model_version": decision.model_version,
                "rows": summary.trained.count_train_rows,
                "is_promoted": is_new,
                "failed": [check.check_name for check in decision.verdict.failed],
            }
        )
        if is_new:
            self.run("score", at + timedelta(minutes=10))

    def look_at_accuracy(self, day: int) -> None:
        """How many of a day's tweets readers see with the label that they have."""
        with reader(self.home) as snapshot:
            shown = snapshot.connection.execute(
                "select tweet_id, label, model_version from scored_tweets where posted_at >= ? and posted_at < ?",
                [_at(day, 0), _at(day + 1, 0)],
            ).fetchall()
        right = [(label == "positive") == self.source.labels[tweet_id][1] for tweet_id, label, _ in shown]
        if shown:
            self.diary.accuracy.append(
                {"day": day, "tweets": len(right), "right": sum(right) / len(right), "model_version": shown[0][2]}
            )

    def age(self, at: datetime) -> None:
        """Give the files that came since the last call the played time."""
        home, first = self.home, _at(366, 0).timestamp()
        folders = (home.inbox, home.reports, home.checkpoints, home.work, home.logs)
        for path in (path for folder in folders for path in folder.rglob("*")):
            if path.suffix != ".log" and path.stat().st_mtime > first:
                os.utime(path, (at.timestamp(), at.timestamp()))


def _date(day: int) -> date:
    return START + timedelta(days=day - 1)


def _at(day: int, hour: int, minute: int = 0) -> datetime:
    """A time on a day of the year, whose first is 1."""
    return datetime(START.year, START.month, START.day, hour, minute, tzinfo=UTC) + timedelta(days=day - 1)


def _bytes_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())


@dataclass
class State:
    """What is kept of an interrupted year, next to its home."""

    source: Source
    diary: Diary
    played: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0


def main() -> None:
    """Play, ask, draw, and fail if something that is claimed does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365, help="Days to play; results are kept of a whole year alone.")
    parser.add_argument("--folder", type=Path, help="Keeps home and state after Ctrl-C, and goes on from there.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="year-") as temporary:
        folder = given.folder or Path(temporary)
        state = play(folder, given.days)
        home = Home(folder / "home")
        result, series = account(home, state.source, vars(state.diary), state.played)
    spent = {
        "days": state.played,
        "minutes": round(state.seconds / 60, 1),
        "processor_minutes": round(state.processor_seconds / 60, 1),
        "load_average": round(os.getloadavg()[2], 1),
    }
    report = json.dumps({**spent, **result}, indent=2)
    print(report)
    target = RESULTS if state.played == 365 else given.folder or Path(tempfile.mkdtemp(prefix="year-results-"))
    (target / "year.json").write_text(f"{report}\n")
    draw(series, vars(state.diary), result, target / "year.png")
    if wrong := [name for name, holds in result["claims"].items() if not holds]:
        sys.exit(f"Does not hold: {', '.join(wrong)}. The results are in {target}.")


def play(folder: Path, days: int) -> State:
    """Play until the last day, or until Ctrl-C between two days."""
    stopping = Event()
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    kept = folder / "state.pickle"
    home = Home(folder / "home").create()
    os.environ["SENTIMENT_HOME"] = str(home.root)
    state = pickle.loads(kept.read_bytes()) if kept.exists() else State(Source(home.inbox), Diary())
    began, used = time.perf_counter(), _processor_seconds()
    with connect(home.root) as orchestration, orchestration.in_use():
        year = Year(home, state.source, state.diary)
        if state.played == 0:
            year.begin()
        while state.played < days and not stopping.is_set():
            state.played += 1
            year.play(state.played)
            print(f"{_date(state.played)} {state.diary.costs[-1]}", file=sys.stderr, flush=True)
    state.seconds += time.perf_counter() - began
    state.processor_seconds += _processor_seconds() - used
    kept.write_bytes(pickle.dumps(state))
    return state


def _processor_seconds() -> float:
    """Of this process and of those it started that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


if __name__ == "__main__":
    main()
