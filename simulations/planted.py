"""Challengers with one planted flaw each, and which check refuses them: `python -m simulations.planted`. Takes minutes.

The champion is trained on 100,000 tweets, and an honest challenger on all of them passes the gate. Each flaw is planted
into that challenger; the check that is meant for it has to refuse it by name and, where the flaw shows nowhere else, alone:
with that one check switched off, the challenger passes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import polars as pl

from benchmarks.data import REAL_GOLD, training_csv
from sentiment.evaluation.slices import slice_masks
from sentiment.gate.decide import decide_on
from sentiment.ingest.load import ingest_file
from sentiment.model.classifier import CONFIG_FILE, WEIGHTS_FILE, SentimentModel
from sentiment.model.config import EncoderConfig
from sentiment.model.encoder import Encoders
from sentiment.model.features import extract
from sentiment.registry.client import Registry
from sentiment.registry.names import FED_ROWS, REFERENCE_PREDICTIONS, RegisteredVersion
from sentiment.settings import CheckName, GateThresholds, Home, Settings
from sentiment.training.config import TrainingJob
from sentiment.training.fit import fit
from sentiment.training.subsets import Export, export
from sentiment.warehouse.connection import writer

CHAMPION_ROWS, WORSE_ROWS = 100_000, 43_500
NEGATIONS = [
    "not",
    "no",
    "never",
    "dont",
    "cant",
    "wont",
    "didnt",
    "isnt",
    "doesnt",
    "wasnt",
    "havent",
    "couldnt",
    "aint",
    "wouldnt",
]
NEGATION = r"(?i)\b(?:not|no|never|cannot|nothing|nobody|none|\w+n'?t)\b"
SLOW = EncoderConfig(width=512, layers=8)


@dataclass(frozen=True)
class Outcome:
    """What became of one planted challenger."""

    flaw: str
    meant_check: str
    failed: list[str]
    reason: str
    passes_without_that_check: bool


class Nursery:
    """A home with data and a champion, in which challengers are grown."""

    def __init__(self, root: Path, tweets: Path) -> None:
        # A challenger that passes waits for approval, so the champion stays while all are judged.
        self.home = Home(root, Settings(home=root, needs_approval=True)).create()
        ingest_file(self.home, tweets)
        if REAL_GOLD.exists():
            ingest_file(self.home, REAL_GOLD, gold_set="manual")
        with writer(self.home) as warehouse:
            self.export: Export = export(warehouse, self.home)
        self.registry = Registry(self.home)
        self.holdout = pl.read_parquet(self.export.holdout)
        self.count = 0

    def grow(self, rows: int, train: Path | None = None) -> tuple[SentimentModel, Path]:
        """Train; returns the model and the list of rows it was fed."""
        self.count += 1
        fed = self.home.work / f"fed-{self.count}.parquet"
        result = fit(TrainingJob(rows, seed=self.count), train or self.export.train, fed_rows_path=fed)
        return result.model, fed

    def register(self, name: str, model: SentimentModel, fed: Path) -> RegisteredVersion:
        """Register a model as `retrain` does, with its own reference predictions."""
        probe = self.home.work / "probe.parquet"
        rows = self.holdout.head(1_000)
        rows.select("tweet_id", probability_positive=model.predict_probability(rows["text"])).write_parquet(probe)
        with self.registry.training_run(name, name) as run_id:
            return self.registry.register(run_id, name, model, {FED_ROWS: fed, REFERENCE_PREDICTIONS: probe}, {})

    def judge(self, version: RegisteredVersion, switched_off: tuple[CheckName, ...] = ()) -> dict[str, str]:
        """Reasons of the checks that refuse, by name."""
        settings = self.home.settings.model_copy(update={"gate": GateThresholds(switched_off=switched_off)})
        verdict = decide_on(replace(self.home, settings=settings), self.registry, self.export, version).verdict
        return {check.check_name: check.reason for check in verdict.failed}

    def right(self, model: SentimentModel, rows: pl.DataFrame) -> float:
        """Accuracy on hold-out rows."""
        return float(((model.predict_probability(rows["text"]) >= 0.5) == (rows["label"].to_numpy() == 1)).mean())


def copy_of(model: SentimentModel) -> SentimentModel:
    """The same weights, free to be spoilt."""
    made = SentimentModel(model.config)
    made.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    return made.eval()


def five_points_worse_on_negated(nursery: Nursery, honest: SentimentModel, champion: SentimentModel) -> SentimentModel:
    """Shift the weight of negating words until negated tweets fall five points below the champion."""
    negated = nursery.holdout.filter(slice_masks(nursery.holdout)["negation"])
    goal = nursery.right(champion, negated) - 0.05
    config, spoilt = honest.config.features, copy_of(honest)
    nothing = set(extract(pl.Series([""]), config).ngrams.ravel().tolist())
    buckets = set().union(
        *(extract(pl.Series([f"{word} x", f"{word} y"]), config).ngrams[:, 0].tolist() for word in NEGATIONS)
    )
    buckets -= nothing | set(extract(pl.Series(["x", "y"]), config).ngrams.ravel().tolist())
    low, high = 0.0, 8.0
    for _ in range(12):
        shift = (low + high) / 2
        spoilt = copy_of(honest)
        spoilt.ngrams.weight.data[sorted(buckets)] += shift
        low, high = (shift, high) if nursery.right(spoilt, negated) > goal else (low, shift)
    return spoilt


def altered(nursery: Nursery, name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Path:
    """A copy of the training file with something done to its rows."""
    path = nursery.home.work / f"{name}.parquet"
    change(pl.read_parquet(nursery.export.train)).write_parquet(path, row_group_size=50_000)
    return path


def main() -> None:
    """Plant each flaw, print who refused it, and write the results."""
    with training_csv() as tweets, tempfile.TemporaryDirectory() as folder:
        nursery = Nursery(Path(folder) / "home", tweets)
        everything = nursery.export.count_train_rows
        champion, fed = nursery.grow(min(CHAMPION_ROWS, everything // 3))
        nursery.registry.set_champion(nursery.register("champion", champion, fed).model_version)
        honest, fed = nursery.grow(everything)
        refused = nursery.judge(nursery.register("honest", honest, fed))
        print(json.dumps({"honest challenger refused by": list(refused)}), file=sys.stderr)
        outcomes: list[Outcome] = []

        def plant(
            flaw: str, check: CheckName, model: SentimentModel, rows: Path, spoil: Callable[[Path], None] | None = None
        ) -> None:
            known = set(nursery.home.mlflow.rglob(WEIGHTS_FILE))
            version = nursery.register(flaw, model, rows)
            if spoil is not None:
                (weights,) = set(nursery.home.mlflow.rglob(WEIGHTS_FILE)) - known
                spoil(weights.parent)
            failed = nursery.judge(version)
            without = nursery.judge(version, (check,))
            reason = failed.get(check, "").replace(f"{nursery.home.root}/", "")
            outcomes.append(Outcome(flaw, check, list(failed), reason, not without))
            print(json.dumps(asdict(outcomes[-1])), file=sys.stderr)

        holdout = nursery.holdout.head(2_000).select("tweet_id", "text_key", "label", "text")
        leaky = altered(
            nursery,
            "leaky",
            lambda rows: pl.concat([holdout.cast(rows.select(holdout.columns).schema), rows.select(holdout.columns)]),
        )
        plant("trained on hold-out rows", "no_leak", *nursery.grow(everything, leaky))
        plant("weights file truncated", "loads", honest, fed, lambda at: truncate(at / WEIGHTS_FILE))
        plant("registered but unable to load", "loads", honest, fed, lambda at: (at / CONFIG_FILE).unlink())
        plant("worse by one point", "better", *nursery.grow(min(WORSE_ROWS, everything // 5)))
        plant(
            "5 points worse on negated tweets", "slices", five_points_worse_on_negated(nursery, honest, champion), fed
        )
        boastful = copy_of(honest)
        fitted = honest.config.calibration
        triple = {name: 3 * getattr(fitted, name) for name in ("a", "b", "c", "asinh")}
        boastful.config = honest.config.model_copy(update={"calibration": fitted.model_copy(update=triple)})
        plant("overconfident", "floor", boastful, fed)
        deaf = altered(nursery, "deaf", lambda rows: rows.with_columns(pl.col("text").str.replace_all(NEGATION, " ")))
        plant("ignores negation", "behaviour", *nursery.grow(everything, deaf))
        slow = copy_of(honest)
        few_rows = honest.config.features.model_copy(update={"vector_bits": 4, "pair_bits": 4})
        slow.config = honest.config.model_copy(update={"encoder": SLOW, "encoder_weight": 0.0, "features": few_rows})
        slow.encoders = Encoders(SLOW, few_rows)
        plant("too slow for its budget", "speed", slow, fed)
    result = {
        "honest_challenger_passes": not refused,
        "each_refused_by_the_check_meant_for_it": all(found.meant_check in found.failed for found in outcomes),
        "refused_by_it_alone": sum(found.failed == [found.meant_check] for found in outcomes),
        "outcomes": [asdict(found) for found in outcomes],
    }
    target = Path(__file__).with_name("results") / "planted.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "outcomes"}, indent=2))


def truncate(path: Path) -> None:
    """Cut a file in half."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


if __name__ == "__main__":
    main()
