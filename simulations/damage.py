"""Damage one file of a home, then use the home: `python -m simulations.damage [TRIALS] [--seed N] [--files KIND ...]`.

Each trial takes a copy of the same home, with two champions, a killed training, a saved source, a search index and a backup. It
flips one bit in a file at random, or in every fifth trial zeroes a page, and leaves the time of change as it was, as a bad disk
does. Then it does what people do: status, doctor, queries, predictions, pages; and one thing that writes.

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
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simulations.damage_probes import READING, WRITING, Answers, build_home, run_probes

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
WRITES = {
    "export": ("retrain",),
    "export's description": ("retrain",),
    "kept predictions": ("retrain",),
    "checkpoint": ("retrain",),
    "fed rows": ("retrain",),
    "reference predictions": ("retrain",),
    "saved source": ("ingest",),
    "key of forgotten": ("ingest",),
    "backup": ("restore",),
}
"""What reads a file of the kind; any of them for the others."""


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
            is_told = any(name in value for name in names) and _has_remedy(value)
            outcomes[probe] = "same" if value == expected[probe][1] else "sentence" if is_told else "different"
        elif kind == "sentence":
            is_whole = any(name in value for name in names) and _has_remedy(value)
            outcomes[probe] = "sentence" if is_whole else "no sentence"
        else:
            outcomes[probe] = "crash" if kind == "crash" else "no sentence"
    return outcomes


def _has_remedy(text: str) -> bool:
    return any(word in text for word in ("sentiment ", "rm ", "tar ", "backup"))


def run_trial(template: Path, folder: Path, number: int, seed: int, kinds: list[str], expected: Answers) -> Trial:
    """Damage a copy of the template and use it."""
    chance = random.Random(f"{seed} {number}")
    kind = kinds[number % len(kinds)]
    root = folder / "world"  # Paths are in answers, so every copy lies at the same place of its worker.
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template, root, symlinks=True)
    path = chance.choice(sorted(root.glob(KINDS[kind])))
    how = damage(path, chance)
    probes = [*READING, chance.choice(WRITES.get(kind, tuple(WRITING)))]
    found = run_probes(root, probes)
    said = {probe: value for probe, (answer, value) in found.items() if answer != "answer"}
    return Trial(number, kind, str(path.relative_to(root)), how, judge(expected, found, path, root), said)


def table(trials: list[Trial]) -> str:
    """Verdicts by kind of file, as Markdown."""
    lines = ["| file | trials | same answers | named | wrong |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind in dict.fromkeys(trial.kind for trial in trials):
        counts = Counter(trial.verdict for trial in trials if trial.kind == kind)
        bad = sum(counts[name] for name in BAD)
        lines.append(f"| {kind} | {counts.total()} | {counts['same']} | {counts['sentence']} | {bad} |")
    return "\n".join(lines)


def trials(count: int, seed: int = 0, kinds: list[str] | None = None, workers: int = 1) -> list[Trial]:
    """Try so many damages, kind by kind."""
    chosen = kinds or list(KINDS)
    with tempfile.TemporaryDirectory(prefix="damage-") as name:
        base = Path(name)
        # Every worker has the template at a path of its own, since MLflow's database names its files by their paths.
        places = [base / str(worker) for worker in range(workers)]
        for place in places:
            place.mkdir()
        build_home(places[0] / "world")
        expected: list[Answers] = []
        for place in places:
            if place != places[0]:
                shutil.copytree(places[0] / "template", place / "world", symlinks=True)
                run_probes(place / "world", ["settle"])
            (place / "world").rename(place / "template")
            expected.append({})
            for probe in (*READING, *WRITING):
                shutil.copytree(place / "template", place / "world", symlinks=True)
                expected[-1] |= run_probes(place / "world", [probe])
                shutil.rmtree(place / "world")
            if failed := {probe: said for probe, (kind, said) in expected[-1].items() if kind != "answer"}:
                raise RuntimeError(f"The undamaged home does not work: {failed}")

        def work(worker: int) -> list[Trial]:
            found = []
            for number in range(worker, count, workers):
                found.append(
                    run_trial(places[worker] / "template", places[worker], number, seed, chosen, expected[worker])
                )
                if found[-1].verdict in BAD:
                    print(json.dumps(asdict(found[-1])), flush=True)
            return found

        with ThreadPoolExecutor(workers) as pool:
            return sorted((trial for part in pool.map(work, range(workers)) for trial in part), key=lambda t: t.number)


def main() -> None:
    """Print each trial that went wrong, and the table by kind of file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trials", nargs="?", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--files", nargs="*", choices=list(KINDS), metavar="KIND", help=f"of {', '.join(KINDS)}")
    options = parser.parse_args()
    found = trials(options.trials, options.seed, options.files, options.workers)
    print(table(found))
    bad = sum(trial.verdict in BAD for trial in found)
    target = Path(__file__).with_name("results") / "damage.json"
    if options.files is None:
        verdicts: dict[str, Any] = {
            kind: dict(Counter(trial.verdict for trial in found if trial.kind == kind)) for kind in KINDS
        }
        target.write_text(json.dumps({"trials": len(found), "seed": options.seed, "files": verdicts}, indent=2) + "\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
