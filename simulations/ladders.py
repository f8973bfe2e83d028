"""Does the gate let a small first champion grow into the model on all rows? `python -m simulations.ladders`. Takes half an hour.

A user begins with a model of few rows and runs `retrain` again and again: each run trains the next larger subset, and the gate
judges it against the champion of then. For each number of tweets in the home, each first champion and each seed, the same
functions as `retrain` calls train, measure and judge. A ladder ends well when the model on all rows is champion. A refusal on
the way is printed with the check that refused and what it found.

The versions of a home are trained once, and each first champion climbs over them. What moves no decision is left out: the alias,
the warehouse's record, flows. On the real file a seed also chooses which tweets are in the home.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import REAL_GOLD, training_csv
from sentiment.evaluation.behaviour import SHIPPED, load_cases, run_cases
from sentiment.gate.checks import Verdict, decide
from sentiment.gate.evidence import Trial, gather_evidence
from sentiment.ingest.load import ingest_file
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import Home, Settings
from sentiment.training.config import TrainingConfig, TrainingJob
from sentiment.training.subsets import Export, export, next_rung
from sentiment.training.versions import train_version
from sentiment.warehouse.connection import writer

TWEETS = (5_000, 200_000, 1_600_000)
FIRST_CHAMPIONS = (500, 2_000, 25_000)
SEEDS = (0, 1, 2)
RESULTS = Path(__file__).with_name("results") / "ladders.json"


@dataclass(frozen=True)
class Refusal:
    """A challenger that stayed behind.

    Attributes:
        points: its gain in accuracy on the hold-out, where there is a champion.
        harms: the reason of each check that refused, by name.
        losses: texts shown that the champion has right and the challenger wrong.
    """

    rows: int
    champion_rows: int | None
    points: float | None
    harms: dict[str, str]
    losses: int


@dataclass(frozen=True)
class Ladder:
    """What became of one first champion; champions by the number of rows they were trained on."""

    tweets: int
    effort: int
    seed: int
    first: int
    all_rows: int
    champions: list[int]
    refusals: list[Refusal]

    @property
    def is_climbed(self) -> bool:
        """Whether the model on all rows became champion."""
        return bool(self.champions) and self.champions[-1] == self.all_rows


class Site:
    """A home with tweets and all versions that its ladders need."""

    def __init__(self, root: Path, tweets: Path, seed: int, effort: int) -> None:
        self.home = Home(root, Settings(home=root)).create()
        self.count_tweets = ingest_file(self.home, tweets).count_loaded
        if REAL_GOLD.exists():
            ingest_file(self.home, REAL_GOLD, gold_set="manual")
        with writer(self.home) as warehouse:
            self.export: Export = export(warehouse, self.home)
        self.registry = Registry(self.home)
        self.cases = load_cases([SHIPPED])
        self.seed, self.config = seed, TrainingConfig(effort=effort)
        self.versions: dict[int, RegisteredVersion] = {}
        self.verdicts: dict[tuple[int, int | None, bool], Verdict] = {}
        self.described: list[dict[str, Any]] = []

    def version(self, rows: int) -> RegisteredVersion:
        """The version of so many rows, trained when it is asked for first."""
        if rows not in self.versions:
            trained = train_version(
                self.home, self.registry, self.export, TrainingJob(rows, self.config, seed=self.seed)
            )
            self.versions[rows] = trained.version
            model = self.registry.load(trained.version.model_version)
            found = run_cases(self.cases, model.predict_probability)
            self.described.append(
                {
                    "rows": rows,
                    "holdout": trained.holdout.accuracy,
                    "behaviour": found.rate.share,
                    "by_group": {name: rate.share for name, rate in found.by_group.items()},
                }
            )
        return self.versions[rows]

    def judge(self, challenger: int, champion: int | None, look: int) -> Verdict:
        """The gate on two versions, by their rows. Looks after the first are all held to one level, so ladders share verdicts."""
        key = (challenger, champion, look == 1)
        if key not in self.verdicts:
            trial = Trial(self.home, self.registry, self.export, look, self.cases, self.count_tweets)
            former = None if champion is None else self.version(champion)
            evidence = gather_evidence(trial, self.version(challenger), former)
            self.verdicts[key] = decide(evidence, self.home.settings.gate)
        return self.verdicts[key]

    def climb(self, first: int) -> Ladder:
        """Retrain from a first champion on, as `retrain` chooses the rows, to the model on all rows."""
        everything = self.export.count_train_rows
        rungs = [first]
        while rungs[-1] < everything:
            rungs.append(next_rung(rungs[-1], everything))
        champions: list[int] = []
        refusals: list[Refusal] = []
        look = 1
        for rows in rungs:
            champion = champions[-1] if champions else None
            verdict = self.judge(rows, champion, look)
            look += champion is not None
            if verdict.passed:
                champions.append(rows)
                continue
            better = next((check for check in verdict.checks if check.check_name == "better"), None)
            gain = None
            if better and better.challenger_value is not None and better.champion_value is not None:
                gain = 100 * (better.challenger_value - better.champion_value)
            harms = {check.check_name: check.reason for check in verdict.failed}
            refusals.append(Refusal(rows, champion, gain, harms, len(verdict.losses)))
        return Ladder(self.count_tweets, self.config.effort, self.seed, first, everything, champions, refusals)


@contextmanager
def sample(tweets: int, seed: int) -> Iterator[Path]:
    """A CSV of so many tweets, of both classes and the whole time; another seed takes others."""
    with training_csv(tweets) as whole:
        lines = whole.read_bytes().splitlines(keepends=True)
        step = max(1, len(lines) // tweets)
        path = whole.with_name("sample.csv")
        path.write_bytes(b"".join(lines[seed % step :: step][:tweets]))
        yield path


def shown(ladder: Ladder) -> str:
    """One line of a table in Markdown."""
    refused = "; ".join(
        f"{refusal.rows:,} rows ({'first' if refusal.points is None else f'{refusal.points:+.2f} points'}) by "
        + ", ".join(refusal.harms)
        for refusal in ladder.refusals
    )
    champions = " → ".join(f"{rows:,}" for rows in ladder.champions) or "none"
    return (
        f"| {ladder.tweets:,} | {ladder.first:,} | {ladder.seed} | {champions} | {refused or 'nothing'} | "
        f"{'all rows' if ladder.is_climbed else 'not all rows'} |"
    )


def keep(site: Site, ladders: list[Ladder]) -> None:
    """Write down the ladders of a home, in place of those that it had."""
    home = {"tweets": site.count_tweets, "effort": site.config.effort, "seed": site.seed}
    found = {
        "ladders": [asdict(ladder) for ladder in ladders],
        "versions": [{**home, **described} for described in site.described],
    }
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"ladders": [], "versions": []}
    for kind, rows in found.items():
        others = [row for row in known[kind] if any(row.get(name) != value for name, value in home.items())]
        found[kind] = sorted([*others, *rows], key=lambda row: (row["tweets"], row["seed"]))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


def main() -> None:
    """Climb every ladder, print a line for each, write the figures down; other homes keep those of earlier runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tweets", type=int, nargs="+", default=TWEETS, help="tweets in the home")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--effort", type=int, default=1)
    chosen = parser.parse_args()
    ladders: list[Ladder] = []
    for seed, tweets in itertools.product(chosen.seeds, chosen.tweets):
        with tempfile.TemporaryDirectory() as folder, sample(tweets, seed) as path:
            site = Site(Path(folder) / "home", path, seed, chosen.effort)
            firsts = [rows for rows in FIRST_CHAMPIONS if rows < site.export.count_train_rows]
            climbed = []
            for first in firsts:
                climbed.append(site.climb(first))
                print(shown(climbed[-1]), flush=True)
                for refusal in climbed[-1].refusals:
                    print(f"    {refusal.rows:,} rows: {json.dumps(refusal.harms)}", file=sys.stderr, flush=True)
            keep(site, climbed)
            ladders += climbed
    stuck = [ladder for ladder in ladders if not ladder.is_climbed]
    print(f"{len(ladders) - len(stuck)} of {len(ladders)} ladders end with the model on all rows as champion")


if __name__ == "__main__":
    main()
