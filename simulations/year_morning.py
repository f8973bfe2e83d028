"""The person on call of a simulated year, who reads the sentences of the night and does what they say, and nothing else."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sentiment.settings import Home
from simulations.year_people import share
from simulations.year_source import START, WITHDRAWN, Source
from simulations.year_works import Ending, Machine, Work, write_corrections_file

SNAPSHOT = re.compile(r"rm '?(\S+\.duckdb)'? && sentiment housekeeping")
RESTORE = re.compile(r"sentiment restore|[Rr]estore a backup|restore the last backup")
PROMOTE = re.compile(r'sentiment promote (\d+) --reason "([^"]*)"')


class Morning:
    """Helps after a night.

    Attributes:
        backups: the folder of the only backup.
    """

    def __init__(self, machine: Machine, diary: Any) -> None:
        self.machine, self.diary = machine, diary
        self.backups = machine.root.parent / "backups"
        self.backups.mkdir(exist_ok=True)
        share(self.backups)

    def note_backup(self, day: int, ending: Ending) -> None:
        """Remember what people had said and asked when a backup was made."""
        if ending.how == "done":
            self.diary.at_backup = (day, len(self.diary.corrections), len(self.diary.forgotten))

    def help(self, day: int, said: list[str], source: Source) -> list[str]:
        """Do what sentences say that somebody has to do; what was done, in words."""
        text = "\n".join(said)
        at = datetime.combine(START + timedelta(days=day), time(9), UTC)
        if found := SNAPSHOT.search(text):
            Path(found[1]).unlink(missing_ok=True)
            return [f"rm {Path(found[1]).name}", self._do("housekeeping", at)]
        if RESTORE.search(text) and list(self.backups.glob("*.tar.zst")):
            return self._restore(day, source)
        if found := PROMOTE.search(text):
            return [self._do("promote", at, int(found[1]), found[2]), self._do("score", at)]
        return []

    def _do(self, name: str, at: datetime | None, *given: Any) -> str:
        ending = self.machine.do(Work(name, at, given))
        said = "" if ending.how == "done" else f": {ending.how}, {ending.said[:300]}"
        if ending.how != "done":
            self.diary.endings.append({"day": None, "work": f"help by {name}", "how": ending.how, "said": ending.said})
        return f"{name}{said}"

    def _restore(self, day: int, source: Source) -> list[str]:
        """Put the backup in place of the home, with the inbox that it had, and say again what was said since."""
        (backup,) = self.backups.glob("*.tar.zst")
        home = Home(self.machine.root)
        old = home.root.with_name("damaged")
        home.root.rename(old)
        home.root.mkdir(mode=0o770)
        share(home.root)
        helped = [self._do("restore", None, str(backup))]
        if helped != ["restore"]:
            shutil.rmtree(home.root)
            old.rename(home.root)
            return helped
        for name in ("inbox", "prefect"):
            made = home.root / name
            if made.is_dir():
                shutil.rmtree(made)
            (old / name).rename(made)
        shutil.rmtree(old)
        self.diary.restores += 1
        day_of_backup, count_corrections, count_forgotten = self.diary.at_backup
        for who in self.diary.forgotten[count_forgotten:]:
            helped.append(self._do("forget", None, who))
        if day_of_backup <= WITHDRAWN + 1 < day:
            helped.append(self._do("withdraw", None, str(home.inbox / source.name_of_withdrawn())))
        at = datetime.combine(START + timedelta(days=day), time(9), UTC)
        helped += [self._do("ingest", at), self._do("score", at)]
        self._say_again(self.diary.corrections[count_corrections:], source, helped)
        return helped

    def _say_again(self, corrections: list[tuple[int, str, str]], source: Source, helped: list[str]) -> None:
        path = self.machine.root.parent / "corrections.csv"
        known = [row for row in corrections if source.leavers.get(row[0]) not in self.diary.forgotten]
        if known:
            write_corrections_file(path, [(str(tweet_id), label) for tweet_id, label, _ in known])
            helped.append(self._do("correct", None, path, "ann"))
