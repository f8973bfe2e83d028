"""What 300 labels of the review queue are worth against 300 at random: `python -m benchmarks.labels`.

A home gets 20,000 tweets of the real file, of whose labels a tenth are flipped, and two versions trained on them. An
oracle that knows the labels of the file answers 300 tweets that the queue deals, and 300 drawn at random. How many flipped labels
each finds, and what the next training gains on 30,000 other tweets, from five draws of tweets and flips. One training differs from
the next by some tenths of a point, so a gain is the mean over three seeds, the same for both. The file's own labels come from
emoticons, so the oracle is wrong where they are.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.data import training_csv
from sentiment.desk.queue import ReviewQueue
from sentiment.desk.store import PreparingError, Store, View
from sentiment.ingest.corrections import correct
from sentiment.ingest.load import ingest_file
from sentiment.ingest.reviews import Review
from sentiment.registry.champion import promote
from sentiment.registry.client import Registry
from sentiment.scoring.score import Selection, score
from sentiment.settings import Home
from sentiment.training.config import TrainingConfig, TrainingJob
from sentiment.training.fit import fit
from sentiment.training.subsets import export
from sentiment.training.versions import train_version
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.snapshot import publish

SEEDS, LABELS = 5, 300
ROWS, OTHERS, FLIPPED, TRAININGS = 20_000, 30_000, 0.1, 3
KINDS = ("mixed", "wrong_label", "random")
CONFIG = TrainingConfig(effort=1)


@dataclass(frozen=True)
class World:
    """One draw: a scored home with flipped labels, the labels of the file by tweet, and other tweets to judge on."""

    home: Home
    truth: dict[int, str]
    given: dict[int, str]
    others: pl.DataFrame
    seed: int


def main() -> None:
    """Measure, and write `results/labels.json`."""
    with training_csv() as path:
        lines = path.read_bytes().splitlines(keepends=True)
    drawn: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            world = prepared(Path(folder), lines, seed)
            before = accuracy(world, {})
            for kind in KINDS:
                labelled = at_random(world) if kind == "random" else dealt(world, kind)
                found = sum(world.given[tweet] != label for tweet, label in labelled.items())
                gained = 100 * (accuracy(world, labelled) - before)
                drawn[kind].append({"wrong_labels_found": found, "points_gained": round(gained, 3)})
                print(seed, kind, drawn[kind][-1], flush=True)
    result = {"labels": LABELS, "rows": ROWS, "flipped": FLIPPED, "others": OTHERS, "before": round(before, 4)}
    written({**result, **{kind: summary(rows) for kind, rows in drawn.items()}})


def written(result: dict[str, Any]) -> None:
    """Keep the result."""
    Path(__file__).with_name("results").joinpath("labels.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Mean and standard error of each measure over the draws."""
    found: dict[str, Any] = {"draws": rows}
    for name in rows[0]:
        values = [row[name] for row in rows]
        found[name] = round(statistics.mean(values), 3)
        found[f"{name}_standard_error"] = round(statistics.stdev(values) / len(values) ** 0.5, 3)
    return found


def prepared(folder: Path, lines: list[bytes], seed: int) -> World:
    """Two versions trained on flipped labels, the better one the champion; both have scored every tweet."""
    chosen = random.Random(seed)
    sample = chosen.sample(lines, ROWS + OTHERS)
    home, other_home = Home(folder / "home").create(), Home(folder / "others").create()
    flipped = [flip(line) if chosen.random() < FLIPPED else line for line in sample[:ROWS]]
    given = labels_of(load(folder / "tweets.csv", home, flipped))
    truth = {tweet: label for tweet, label in labels_in(sample[:ROWS]).items() if tweet in given}
    others = load(folder / "others.csv", other_home, sample[ROWS:])
    registry = Registry(home)
    with writer(home) as warehouse:
        frozen = export(warehouse, home)
    for rows in (frozen.count_train_rows // 2, frozen.count_train_rows):
        made = train_version(home, registry, frozen, TrainingJob(rows, CONFIG, seed)).version.model_version
        promote(home, registry, made, changed_by="benchmark", reason="to choose tweets by")
        score(home, registry, run_id="benchmark", selection=Selection(made))
    publish(home)
    return World(home, truth, given, others, seed)


def flip(line: bytes) -> bytes:
    """A line with the other polarity."""
    return line.replace(b'"0"', b'"4"', 1) if line.startswith(b'"0"') else line.replace(b'"4"', b'"0"', 1)


def labels_in(lines: list[bytes]) -> dict[int, str]:
    """Labels by tweet, as lines of the file have them."""
    fields = (line.split(b'"', 4) for line in lines)
    return {int(tweet): "positive" if polarity == b"4" else "negative" for _, polarity, _, tweet, _ in fields}


def labels_of(tweets: pl.DataFrame) -> dict[int, str]:
    """Labels by tweet of a home whose sources agree on them."""
    return dict(tweets.drop_nulls("label").select("tweet_id", "label").iter_rows())


def load(path: Path, home: Home, lines: list[bytes]) -> pl.DataFrame:
    """Ingest lines of the file, and publish; the tweets of the home."""
    path.write_bytes(b"".join(lines))
    ingest_file(home, path)
    publish(home)
    with reader(home) as snapshot:
        return snapshot.connection.table("tweets").select("tweet_id", "label", "text").pl()


def at_random(world: World) -> dict[int, str]:
    """Tweets drawn evenly, with their true labels."""
    chosen = random.Random(world.seed).sample(sorted(world.truth), LABELS)
    return {tweet: world.truth[tweet] for tweet in chosen}


def dealt(world: World, kind: str) -> dict[int, str]:
    """Tweets that the queue deals to somebody who knows their labels."""
    queue = ReviewQueue(Store(world.home))
    view = first_view(queue.store)
    labelled: dict[int, str] = {}
    while len(labelled) < LABELS and (claim := queue.deal(view, "oracle", kind)):
        label = world.truth.get(claim.tweet_id)
        queue.take(Review(claim.tweet_id, claim.queue, label, "oracle"))
        if label is not None:
            labelled[claim.tweet_id] = label
    return labelled


def first_view(store: Store) -> View:
    """The view of a home once its index is built."""
    while True:
        try:
            return store.view()
        except PreparingError:
            continue


def accuracy(world: World, labelled: dict[int, str]) -> float:
    """How often a version that learnt these labels is right on the other tweets; the home is left as it was."""
    ids = [str(tweet) for tweet in labelled]
    if labelled:
        correct(world.home, pl.DataFrame({"tweet_id": ids, "label": list(labelled.values())}), corrected_by="oracle")
    with writer(world.home) as warehouse:
        frozen = export(warehouse, world.home)
        warehouse.connection.execute("delete from corrections")
    others = world.others.filter(pl.col("label").is_in(["negative", "positive"]))
    is_positive = (others["label"] == "positive").to_numpy()
    shares = []
    for seed in range(TRAININGS):
        job = TrainingJob(frozen.count_train_rows, CONFIG, seed)
        model = fit(job, frozen.train, fed_rows_path=world.home.work / "fed.parquet").model
        shares.append(np.mean((model.predict_probability(others["text"]) >= 0.5) == is_positive))
    return float(np.mean(shares))


if __name__ == "__main__":
    main()
