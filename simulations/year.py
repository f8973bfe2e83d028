"""Simulates a year, day by day: `python -m simulations.year`. It takes one to two hours, and root on Linux.

Three sources send a file a day each (`simulations.year_source`), with six changes of stated sizes and eight incidents planted:
files that are cut short, damaged or withdrawn, silent sources, a machine that is off, a new file format, twenty days sent again.
The real flows run on a Prefect server of the home, each in a process of its own, as one of two people, and with the time of its
schedule as now (`as_of`): at night `ingest` and then `score`, as the events would start them; in the morning `monitor`, and
`retrain` when that requests it. Runs that would find nothing are left out, `housekeeping` and a backup come once a week, and the
scheduled `retrain` every fourth week. Every third night somebody uses the desk while the flows run; corrections come in files,
people ask to be forgotten, and a reader asks for the published tables all the time.

One night in four something fails (`simulations.year_failures`). Then the schedule goes on; in the morning a person does what the
sentences of the night say, and nothing else. Prefect's database is on another disk, and its clock and MLflow's cannot be set.
At the end `simulations.year_account` asks the tables whether anything was lost, scored twice, mixed, promoted without
reasons, not loaded or missed, and for false alarms.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from flows.server.ephemeral import TemporaryServer, connect
from sentiment.settings import Home
from simulations.year_account import account
from simulations.year_diary import Diary, State
from simulations.year_failures import Failure, Night, failures_of, own_disk
from simulations.year_morning import Morning
from simulations.year_people import ANN, BEN, GROUP, can_be_two, share
from simulations.year_picture import draw
from simulations.year_readers import Watching
from simulations.year_source import LEAVERS, OFF, START, WITHDRAWN, Source
from simulations.year_works import Ending, Machine, Troubles, Work, write_corrections_file

DAYS_BETWEEN_TRAININGS, DAYS_BETWEEN_DESKS, DAYS_BETWEEN_FILES = 28, 3, 8
HOUSEKEEPING_ON, BACKUP_ON = 0, 6
FORGET_FROM, DAYS_BETWEEN_FORGETS = 50, 55
RESULTS = Path(__file__).with_name("results")
PARTS = ("warehouse.duckdb", "published", "mlflow", "prefect", "exports", "reports", "checkpoints", "work", "logs")


class Year:
    """The home, its sources, and what is done at which time."""

    def __init__(self, machine: Machine, state: State, server: TemporaryServer) -> None:
        self.machine, self.state, self.server = machine, state, server
        self.home, self.source, self.diary = Home(machine.root), state.source, state.diary
        self.failing: Night | None = None
        self.victim = ""
        self.day = 0
        self.said: list[str] = []
        self.ended: dict[str, str] = {}
        self.morning = Morning(machine, state.diary)
        self.desk: Any = None

    def run(self, name: str, at: datetime, *given: Any) -> Ending:
        """Do something at a played time, under what goes wrong in this night."""
        person = BEN if self.day % 5 == 0 else ANN
        troubles, failure = Troubles(), self.failing.failure if self.failing else None
        if self.failing is not None and failure is not None:
            troubles = self.failing.troubles()
            at += timedelta(days={"clock a day back": -1, "clock a day ahead": 1}.get(failure.kind, 0))
            if self.victim == name:
                self.victim = ""
                troubles = Troubles(
                    kill_after=failure.share * self.state.usual.get(name, 3.0),
                    is_whole_tree=failure.kind == "everything killed",
                )
        ending = self.machine.do(Work(name, at, given), person, troubles)
        if ending.how == "done":
            self.state.usual[name] = ending.seconds
        else:
            self.ended[name] = ending.how
            self.diary.endings.append({"day": self.day, "work": name, "how": ending.how, "said": ending.said})
            print(self.diary.endings[-1], file=sys.stderr, flush=True)
        if ending.how == "sentence":
            self.said.append(ending.said)
        if ending.how == "killed" and troubles.is_whole_tree:
            self.server.process.kill()
            self.server.stop()
            self.server = TemporaryServer(self.home.root)
            self.server.wait()
            self.machine.url = self.server.url
            if self.desk is not None:
                self.desk.kill()
        return ending

    def begin(self) -> None:
        """The weeks before the year: history in one file of each source, and a first model."""
        at = _at(0, 12)
        self.source.send_history()
        self.age(at - timedelta(hours=1))
        self.run("save sources", at)
        self.run("ingest", at)
        self.retrain(0, at + timedelta(minutes=10), "first model")
        self.run("score", at + timedelta(minutes=20))

    def play(self, day: int) -> None:
        """A day of the sources, and the night and morning after it."""
        self.machine.seconds.clear()
        self.day, self.said, self.ended = day, [], {}
        self.source.send(day)
        self.age(_at(day + 1, 0))
        watching = Watching(self.home.root)
        if day % DAYS_BETWEEN_DESKS == 0:
            from simulations.year_desk import Desk

            self.desk = Desk(self.home.root, day, self.source.labels)
        failure = self.state.failures.get(day)
        if day not in OFF:
            if failure is not None:
                self.fail(failure)
            self.night(day)
            self.recover()
        self.leave_desk()
        self.by_day(day)
        for name, found in watching.end().items():
            self.diary.readers[name] += found
        self.age(_at(day + 1, 8))
        costs = {name: round(value, 2) for name, value in self.machine.seconds.items()}
        self.diary.costs.append({"day": day, **costs})
        self.diary.disk.append({"day": day, **{part: _bytes_of(self.home.root / part) for part in PARTS}})

    def settle(self) -> None:
        """The runs that come next, without a failure: the account is of a home whose schedule has gone on."""
        self.run("ingest", _at(self.state.played + 1, 9))
        self.run("score", _at(self.state.played + 1, 9, 5))

    def fail(self, failure: Failure) -> None:
        """Begin what goes wrong in this night."""
        usual = self.state.usual
        self.failing = Night(
            failure, self.machine, sum(usual.get(name, 2.0) for name in ("ingest", "score", "monitor"))
        )
        works = ("ingest", "score", "monitor") + (("retrain",) * 3 if self.trains() else ())
        self.victim = failure.of(works) if "killed" in failure.kind else ""
        self.failing.begin()

    def recover(self) -> None:
        """What the person on call does in the morning, by what was said in the night."""
        if self.failing is None:
            if self.said:
                self.morning.help(self.day, self.said, self.source)
            return
        failing, self.failing = self.failing, None
        failing.end()
        self.leave_desk()
        helped = self.morning.help(self.day, self.said, self.source)
        failure = failing.failure
        self.diary.failures.append(
            {"day": self.day, "kind": failure.kind, "what": failing.what, "ended": self.ended, "operator": helped}
        )
        print(json.dumps(self.diary.failures[-1]), [said[:400] for said in self.said], file=sys.stderr, flush=True)

    def trains(self) -> bool:
        """Whether a training is due tonight."""
        return self.day % DAYS_BETWEEN_TRAININGS == 1 or self.state.is_training_due

    def night(self, day: int) -> None:
        """What the schedules start between midnight and seven."""
        for minutes in (15, 30):
            ending = self.run("ingest", _at(day + 1, 0, minutes))
            if ending.how == "sentence":
                said = ending.said.replace(f"{self.home.inbox}/", "")
                self.diary.refused_files.append({"day": day, "said": said})
            if ending.how not in ("killed", "crash"):
                break
        for hour in (1, 2):
            if self.run("score", _at(day + 1, hour, 0)).how not in ("killed", "crash"):
                break
        if self.trains():
            self.retrain(day, _at(day + 1, 2, 30), "schedule")
        if _date(day + 1).weekday() == HOUSEKEEPING_ON:
            self.run("housekeeping", _at(day + 1, 4, 30))
        if _date(day + 1).weekday() == BACKUP_ON:
            self.morning.note_backup(day, self.run("backup", _at(day + 1, 5, 0), str(self.morning.backups)))
        alarms = self.run("monitor", _at(day + 1, 6, 30)).value or []
        self.diary.alarms += [{"told_on": str(_date(day + 1)), **alarm} for alarm in alarms]
        self.look_at_accuracy(day)
        if any(alarm["is_drift"] for alarm in alarms):
            self.retrain(day, _at(day + 1, 6, 35), "drift")

    def retrain(self, day: int, at: datetime, why: str) -> None:
        """A challenger; when it becomes champion, `score` follows. One that was killed is trained on in the next night."""
        ending = self.run("retrain", at)
        self.state.is_training_due = ending.how != "done"
        if ending.how != "done":
            return
        self.diary.retrains.append({"day": str(_date(day + 1)), "why": why, **ending.value})
        if ending.value["is_promoted"]:
            self.run("score", at + timedelta(minutes=10))

    def by_day(self, day: int) -> None:
        """What people do while the sun shines."""
        if day % DAYS_BETWEEN_FILES == 0 and day not in OFF:
            dice = random.Random(day)
            ids = dice.sample(self.source.by_day[day - 5 if day > 5 else day], 15)
            rows = [(tweet_id, dice.choice(("negative", "neutral", "positive"))) for tweet_id in ids]
            self.correct(rows, "ben")
        if day >= FORGET_FROM and (day - FORGET_FROM) % DAYS_BETWEEN_FORGETS == 0:
            who = LEAVERS[(day - FORGET_FROM) // DAYS_BETWEEN_FORGETS]
            if self.run("forget", _at(day + 1, 10), f"@{who.upper()}").how == "done":
                self.diary.forgotten.append(who)
        if day == WITHDRAWN + 1:
            name = self.source.name_of_withdrawn()
            if self.run("withdraw", _at(day + 1, 11), str(self.home.inbox / name)).how == "done":
                self.source.send_withdrawn_again()

    def correct(self, rows: list[tuple[int, str]], who: str) -> None:
        """A file of labels that a person gives."""
        path = self.home.root.parent / "corrections.csv"
        write_corrections_file(path, [(str(tweet_id), label) for tweet_id, label in rows])
        if self.machine.do(Work("correct", None, (path, who)), BEN).how == "done":
            forgotten = self.source.leavers
            kept = [
                (tweet_id, label, who)
                for tweet_id, label in rows
                if forgotten.get(tweet_id) not in self.diary.forgotten
            ]
            self.diary.corrections += kept

    def leave_desk(self) -> None:
        """The person at the desk goes, and what was labelled is written down."""
        if self.desk is None:
            return
        self.desk.end()
        self.diary.desk["uses"] += 1
        self.diary.desk["pages"] += self.desk.asked
        self.diary.desk["failed"] += [f"day {self.day}: {text}" for text in self.desk.failed]
        self.diary.corrections += self.desk.labelled
        self.desk = None

    def look_at_accuracy(self, day: int) -> None:
        """How many of a day's tweets readers see with the label that they have, and with the right one of two."""
        shown = self.machine.do(Work("query", None, (_at(day, 0), _at(day + 1, 0))), BEN).value or []
        truth = [(self.source.labels.get(row[0]), *row[1:]) for row in shown]
        polar = [row for row in truth if row[0] in ("negative", "positive") and row[2] is not None]
        if polar:
            self.diary.accuracy.append(
                {
                    "day": day,
                    "tweets": len(truth),
                    "right": sum(row[0] == row[1] for row in truth) / len(truth),
                    "right_of_two": sum((row[0] == "positive") == row[2] for row in polar) / len(polar),
                    "model_version": shown[0][3],
                }
            )

    def age(self, at: datetime) -> None:
        """Give the files that came since the last call the played time."""
        home, first = self.home, _at(366, 0).timestamp()
        folders = (home.inbox, home.reports, home.checkpoints, home.work, home.logs)
        for path in (path for folder in folders for path in folder.rglob("*")):
            if path.suffix != ".log" and path.is_file() and path.lstat().st_mtime > first:
                os.utime(path, (at.timestamp(), at.timestamp()))


def _date(day: int) -> date:
    return START + timedelta(days=day - 1)


def _at(day: int, hour: int, minute: int = 0) -> datetime:
    """A time on a day of the year, whose first is 1."""
    return datetime(START.year, START.month, START.day, hour, minute, tzinfo=UTC) + timedelta(days=day - 1)


def _bytes_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())


def main() -> None:
    """Play, ask, draw, and fail if something that is claimed does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365, help="Days to play; results are kept of a whole year alone.")
    parser.add_argument("--folder", type=Path, help="Keeps home and state after Ctrl-C, and goes on from there.")
    parser.add_argument("--failing", type=float, default=0.25, help="Share of nights on which something fails.")
    given = parser.parse_args()
    if not can_be_two():
        sys.exit("Two people share the home: run this as root on Linux, with an interpreter that every user may run.")
    with tempfile.TemporaryDirectory(prefix="year-") as temporary:
        folder = (given.folder or Path(temporary)).absolute()
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        with own_disk(folder) as disk:
            state = play(folder, disk, given.days, given.failing)
            result, series = account(Home(disk / "home"), state.source, vars(state.diary), state.played)
    report(state, result, series, given.folder)


def report(state: State, result: dict[str, Any], series: dict[str, Any], folder: Path | None) -> None:
    """Print and keep what the account says; fail if something does not hold."""
    spent = {
        "days": state.played,
        "minutes": round(state.seconds / 60, 1),
        "processor_minutes": round(state.processor_seconds / 60, 1),
        "load_average": round(os.getloadavg()[2], 1),
    }
    text = json.dumps({**spent, **result}, indent=2)
    print(text)
    target = RESULTS if state.played == 365 else folder or Path(tempfile.mkdtemp(prefix="year-results-"))
    (target / "year.json").write_text(f"{text}\n")
    draw(series, vars(state.diary), result, target / "year.png")
    if wrong := [name for name, holds in result["claims"].items() if not holds]:
        sys.exit(f"Does not hold: {', '.join(wrong)}. The results are in {target}.")


def play(folder: Path, disk: Path, days: int, failing: float) -> State:
    """Play until the last day, or until Ctrl-C between two days."""
    stopping = Event()
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    kept, home = folder / "state.pickle", Home(disk / "home").create()
    prefect = folder / "prefect"
    if not home.prefect.is_symlink():
        shutil.rmtree(home.prefect)
        prefect.mkdir()
        home.prefect.symlink_to(prefect)
        share(home.root)
    state = State(Source(home.inbox, (ANN.user_id, GROUP)), Diary(), failures_of(365, failing, 0))
    if kept.exists():
        state = pickle.loads(kept.read_bytes())
    os.environ["SENTIMENT_HOME"] = str(home.root)
    # What numba compiles is kept where both people may write; the processes are forked from one of root's.
    numba = folder / "numba"
    numba.mkdir(exist_ok=True)
    share(numba)
    os.umask(0o007)
    os.environ["NUMBA_CACHE_DIR"] = str(numba)
    began, used = time.perf_counter(), _processor_seconds()
    with connect(home.root) as orchestration:
        server = orchestration.server
        assert server is not None
        server.wait()
        (home.logs / "prefect.log").touch()
        share(prefect)
        share(home.logs)
        year = Year(Machine(home.root, server.url), state, server)
        if state.played == 0:
            year.begin()
        while state.played < days and not stopping.is_set():
            state.played += 1
            year.play(state.played)
            print(f"{_date(state.played)} {state.diary.costs[-1]}", file=sys.stderr, flush=True)
            if state.played % 10 == 0:
                kept.write_bytes(pickle.dumps(state))
        year.settle()
        year.server.stop()
    state.seconds += time.perf_counter() - began
    state.processor_seconds += _processor_seconds() - used + year.machine.processor_seconds
    kept.write_bytes(pickle.dumps(state))
    return state


def _processor_seconds() -> float:
    """Of this process and of those it started that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


if __name__ == "__main__":
    main()
