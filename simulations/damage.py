"""Damage one file of a home, then use the home: `python -m simulations.damage [TRIALS] [--seed N] [--files KIND ...]`.

Each trial takes a copy of the same home, with two champions, a killed training, a saved source, a search index and a backup. It
flips one bit in a file at random, or in every fifth trial zeroes a page, and leaves the time of change as it was, as a bad disk
does. Then it does what people do and what reads such a file: status, doctor, queries, predictions, pages; and one thing that
writes.

Each answer must be the one that the undamaged home gives, or a sentence that names the file and what helps. What an operation
makes again by itself is the same answer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simulations.damage_probes import READING, WRITING, Answers, User, build_home

PAGE = 4096
KINDS = {
    "warehouse": "home/warehouse.duckdb",
    "snapshot": "home/published/sentiment-*.duckdb",
    "MLflow's database": "home/mlflow/mlflow.db",
    "seal of MLflow's database": "home/mlflow/.mlflow.db.seal",
    "weights": "home/mlflow/artifacts/models/*/artifacts/artifacts/model/weights.safetensors",
    "model's configuration": "home/mlflow/artifacts/models/*/artifacts/artifacts/model/config.json",
    "fed rows": "home/mlflow/artifacts/*/artifacts/fed_rows.parquet",
    "reference predictions": "home/mlflow/artifacts/*/artifacts/probe.parquet",
    "export": "home/exports/*/*.parquet",
    "export's description": "home/exports/*/export.json",
    "kept predictions": "home/exports/*/predictions-*.npz",
    "checkpoint": "home/checkpoints/*/checkpoint.safetensors",
    "search index": "home/search/*.duckdb",
    "saved source": "home/sources/*.toml",
    "key of forgotten": "home/forget.key",
    "backup": "backups/*.tar.zst",
}
READERS = {
    "warehouse": ("doctor", "score", "ingest", "rollback"),
    "snapshot": ("status", "doctor", "sql", "pages"),
    "MLflow's database": ("doctor", "predict", "score", "rollback"),
    "seal of MLflow's database": ("doctor", "predict", "score"),
    "weights": ("doctor", "predict", "score", "retrain"),
    "model's configuration": ("doctor", "predict", "score", "retrain"),
    "fed rows": ("doctor", "retrain"),
    "reference predictions": ("retrain",),
    "export": ("retrain",),
    "export's description": ("retrain",),
    "kept predictions": ("retrain",),
    "checkpoint": ("retrain",),
    "search index": ("pages",),
    "saved source": ("ingest",),
    "key of forgotten": ("doctor", "ingest"),
    "backup": ("restore",),
}
"""What reads a file of the kind."""


@dataclass(frozen=True)
class Trial:
    """One damage, and what came of it.

    Attributes:
        how: `bit 12345` or `page 7`.
        outcomes: `same`, `sentence`, `different`, `no sentence` or `crash`, by what was done.
        said: what was said, by what was done.
    """

    number: int
    kind: str
    file: str
    how: str
    outcomes: dict[str, str]
    said: dict[str, str]

    @property
    def verdict(self) -> str:
        """The worst outcome."""
        return min(self.outcomes.values(), key=ORDER.index)


ORDER = ("crash", "no sentence", "different", "sentence", "same")
BAD = ORDER[:3]


def damage(path: Path, chance: random.Random) -> str:
    """Flip a bit or zero a page of a file, and keep its times."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    pages = [at for at in range(0, len(content), PAGE) if any(content[at : at + PAGE])]
    if chance.random() < 0.2:
        at = chance.choice(pages)
        content[at : at + PAGE] = bytes(len(content[at : at + PAGE]))
        how = f"page {at // PAGE}"
    else:
        position = chance.randrange(len(content) * 8)
        content[position // 8] ^= 1 << position % 8
        how = f"bit {position}"
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return how


def judge(expected: Answers, found: Answers, damaged: Path, root: Path) -> dict[str, str]:
    """The outcome of each thing that was done."""
    names = {
        str(path)
        for path in (damaged, *damaged.parents)
        if path.is_relative_to(root / "home") and path != root / "home"
    }
    names |= {str(damaged), damaged.name}
    outcomes = {}
    for probe, (kind, value) in found.items():
        if kind == "answer":
            # What is said of a file that is damaged may come with the answer, as in `doctor`.
            is_told = any(name in value for name in names)
            outcomes[probe] = "same" if value == expected[probe][1] else "sentence" if is_told else "different"
        elif kind == "sentence":
            is_whole = any(name in value for name in names) and _has_remedy(value)
            outcomes[probe] = "sentence" if is_whole else "no sentence"
        else:
            outcomes[probe] = "crash" if kind == "crash" else "no sentence"
    return outcomes


def _has_remedy(text: str) -> bool:
    return any(word in text for word in ("sentiment ", "rm ", "tar ", "backup"))


@dataclass
class Worker:
    """A folder with the template, where trials go on one after the other, and what the undamaged home answers there."""

    folder: Path
    user: User
    expected: Answers

    @property
    def template(self) -> Path:
        """A home and the files around it."""
        return self.folder / "template"

    @property
    def world(self) -> Path:
        """Where each copy lies: paths are in databases and in answers."""
        return self.folder / "world"

    def copy(self) -> Path:
        """A new copy of the template, with the times of its files."""
        shutil.rmtree(self.world, ignore_errors=True)
        shutil.copytree(self.template, self.world, symlinks=True)
        return self.world


@contextmanager
def workers(count: int) -> Iterator[list[Worker]]:
    """Make the home, and so many workers."""
    with tempfile.TemporaryDirectory(prefix="damage-") as name:
        made = [Worker(Path(name) / str(number), User(), {}) for number in range(count)]
        for worker in made:
            worker.folder.mkdir()
            if worker is made[0]:
                build_home(worker.world)
            else:
                shutil.copytree(made[0].template, worker.world, symlinks=True)
                worker.user.use(worker.world, ["settle"])
            worker.world.rename(worker.template)
            for probe in (*READING, *WRITING):
                worker.expected |= worker.user.use(worker.copy(), [probe])
            if failed := {probe: said for probe, (kind, said) in worker.expected.items() if kind != "answer"}:
                raise RuntimeError(f"The undamaged home does not work: {failed}")
        yield made
        for worker in made:
            worker.user.end()


def run_trial(worker: Worker, number: int, seed: int, kind: str) -> Trial:
    """Damage a copy of the home and use it."""
    chance = random.Random(f"{seed} {number}")
    root = worker.copy()
    path = chance.choice(sorted(root.glob(KINDS[kind])))
    how = damage(path, chance)
    writing = [probe for probe in READERS[kind] if probe in WRITING]
    probes = [probe for probe in READERS[kind] if probe in READING] + ([chance.choice(writing)] if writing else [])
    found = worker.user.use(root, probes)
    said = {probe: value for probe, (answer, value) in found.items() if answer != "answer"}
    return Trial(number, kind, str(path.relative_to(root)), how, judge(worker.expected, found, path, root), said)


def table(trials: list[Trial]) -> str:
    """Verdicts by kind of file, as Markdown."""
    lines = ["| file | trials | same answers | named | wrong |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind in dict.fromkeys(trial.kind for trial in trials):
        counts = Counter(trial.verdict for trial in trials if trial.kind == kind)
        bad = sum(counts[name] for name in BAD)
        lines.append(f"| {kind} | {counts.total()} | {counts['same']} | {counts['sentence']} | {bad} |")
    return "\n".join(lines)


def trials(
    count: int, seed: int = 0, kinds: Sequence[str] = tuple(KINDS), processes: int = 1, minutes: float = 1e6
) -> list[Trial]:
    """Try so many damages, kind by kind, or as many as fit into some minutes; prints those that went wrong."""
    end_at = time.monotonic() + 60 * minutes
    with workers(processes) as made, ThreadPoolExecutor(processes) as pool:

        def work(first: int) -> list[Trial]:
            found = []
            for number in range(first, count, processes):
                if time.monotonic() > end_at:
                    break
                found.append(run_trial(made[first], number, seed, kinds[number % len(kinds)]))
                if found[-1].verdict in BAD:
                    print(json.dumps(asdict(found[-1])), flush=True)
            return found

        return sorted((trial for part in pool.map(work, range(processes)) for trial in part), key=lambda t: t.number)


def keep(found: list[Trial], seed: int) -> None:
    """Add the verdicts of a seed to those of others, or replace its own."""
    target = Path(__file__).with_name("results") / "damage.json"
    kept: dict[str, Any] = json.loads(target.read_text()) if target.exists() else {}
    verdicts = {kind: dict(Counter(trial.verdict for trial in found if trial.kind == kind)) for kind in KINDS}
    kept[str(seed)] = {"trials": len(found), "files": verdicts}
    target.write_text(json.dumps(kept, indent=2) + "\n")


def main() -> None:
    """Print each trial that went wrong, and the table by kind of file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trials", nargs="?", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e6, help="end after so long, however many were tried")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--files", nargs="*", choices=list(KINDS), metavar="KIND", help=f"of {', '.join(KINDS)}")
    options = parser.parse_args()
    found = trials(options.trials, options.seed, options.files or tuple(KINDS), options.workers, options.minutes)
    print(table(found))
    bad = sum(trial.verdict in BAD for trial in found)
    if options.files is None:
        keep(found, options.seed)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
