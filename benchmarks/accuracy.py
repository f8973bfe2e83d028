"""Accuracy against training time and scoring speed, for this model and its peers: `python -m benchmarks.accuracy [--only NAME...]`.

All systems train on the same rows and are scored on the same hold-out, hand-labelled set and, where the files are there,
tweets of other years (macro-averaged recall, none trained on). Times start from raw text and include each system's own cleaning and
tokenising. Each runs in a separate process, so that its peak of memory is its own, and its row is
written as soon as it is measured. With `--times 3` each is trained and scored three times, round by round so that a slow
hour of the machine meets all alike, and a row has the medians. What `--only` leaves out keeps the row it has.

The peers are not part of the project or its lock file. Install them into a separate folder:

    pip install --target /tmp/peers fasttext-wheel scikit-learn vaderSentiment
    python -m benchmarks.accuracy --peers /tmp/peers

Without it they are skipped. `load` in a row says how many other processes wanted a core when it began: times of rows with
more than some tenths are those of a busy machine. Most of the time on the real file goes to efforts 3 and 4; elsewhere
generated tweets are used.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from benchmarks.data import OTHER_DOMAINS, exported

RESULTS = Path(__file__).with_name("results") / "accuracy.json"
OUR_NAME = "this project, effort "
THREADS = 2
SEEDS = 5

Score = Callable[[pl.Series], np.ndarray]
"""Texts to probabilities that they are positive; 0.5 divides the labels."""


class System(NamedTuple):
    """Something that is trained on a Parquet file and then scores."""

    train: Callable[[Path], Score]
    needs: str | None = None
    """The module that it is made of, for a peer."""
    effort: int | None = None


def _cleaned(texts: pl.Series) -> pl.Series:
    """What fastText's own tutorial does to text: small letters, signs apart; links and mentions as one word each."""
    lowered = (
        texts.str.to_lowercase().str.replace_all(r"https?://\S+|www\.\S+", "link").str.replace_all(r"@\w+", "user")
    )
    return lowered.str.replace_all(r"([.!?,'/():;\"])", " $1 ").str.replace_all(r"\s+", " ")


def fasttext_system(**options: Any) -> System:
    """fastText from PyPI. It trains on all cores and scores on one."""

    def train(path: Path) -> Score:
        import fasttext

        rows = pl.read_parquet(path, columns=["label", "text"])
        with tempfile.TemporaryDirectory() as folder:
            lines = Path(folder) / "train.txt"
            marked = pl.select("__label__" + rows["label"].cast(pl.String) + " " + _cleaned(rows["text"]))
            lines.write_text("\n".join(marked.to_series()) + "\n")
            model = fasttext.train_supervised(str(lines), thread=THREADS, verbose=0, **options)

        def score(texts: pl.Series) -> np.ndarray:
            labels, probabilities = model.predict(_cleaned(texts).to_list(), k=1)
            says_positive = np.array([label[0] == "__label__1" for label in labels])
            sure = np.array([float(probability[0]) for probability in probabilities])
            return np.where(says_positive, sure, 1 - sure)

        return score

    return System(train, needs="fasttext")


def hashing_with_sgd(path: Path) -> Score:
    """scikit-learn's HashingVectorizer and SGDClassifier, in batches, one pass."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier

    vectoriser = HashingVectorizer(ngram_range=(1, 2), n_features=1 << 22, alternate_sign=False)
    classifier = SGDClassifier(loss="log_loss", alpha=1e-7, random_state=0)
    for part in pl.read_parquet(path, columns=["label", "text"]).iter_slices(50_000):
        classifier.partial_fit(vectoriser.transform(part["text"].to_list()), part["label"].to_numpy(), [0, 1])
    return lambda texts: classifier.predict_proba(vectoriser.transform(texts.to_list()))[:, 1]


def vader(path: Path) -> Score:
    """A lexicon and rules; learns nothing."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    return lambda texts: np.array([analyser.polarity_scores(text)["compound"] / 2 + 0.5 for text in texts])


def ours(effort: int, seed: int = 0) -> Callable[[Path], Score]:
    """This project's model."""

    def train(path: Path) -> Score:
        import pyarrow.parquet as pq

        from sentiment.training.config import TrainingConfig, TrainingJob
        from sentiment.training.fit import fit

        with tempfile.TemporaryDirectory() as folder:
            rows, fed = pq.read_metadata(path).num_rows, Path(folder) / "fed.parquet"
            model = fit(TrainingJob(rows, TrainingConfig(effort=effort), seed), path, fed_rows_path=fed).model
        return model.predict_probability

    return train


def systems() -> dict[str, System]:
    """Every system by name."""
    from sentiment.training.config import EFFORTS

    return {
        "VADER": System(vader, needs="vaderSentiment"),
        "fastText, bigrams": fasttext_system(epoch=5, wordNgrams=2),
        "fastText, trigrams": fasttext_system(epoch=3, wordNgrams=3, bucket=8_000_000),
        "fastText, bigrams and characters": fasttext_system(epoch=3, wordNgrams=2, minn=2, maxn=5),
        "scikit-learn, hashing and SGD": System(hashing_with_sgd, needs="sklearn"),
        **{f"{OUR_NAME}{effort}": System(ours(effort), effort=effort) for effort in EFFORTS},
    }


def _accuracy(score: Score, rows: pl.DataFrame) -> float | None:
    if rows.is_empty():
        return None
    return float(np.mean((score(rows["text"]) >= 0.5) == (rows["label"].to_numpy() == 1)))


def _macro_recall(score: Score, path: Path) -> float:
    rows = pl.read_parquet(path)
    is_positive, says_positive = (rows["label"] == "positive").to_numpy(), score(rows["text"]) >= 0.5
    return float((says_positive[is_positive].mean() + (~says_positive[~is_positive]).mean()) / 2)


def measure(name: str, folder: Path, *, with_seeds: bool) -> dict[str, Any]:
    """Train and score one system, in this process; with seeds, the default effort by other seeds too."""
    system = systems()[name]
    holdout, gold = (
        pl.read_parquet(folder / f"{part}.parquet", columns=["label", "text"]) for part in ("holdout", "gold")
    )
    load = os.getloadavg()[0]
    began = time.perf_counter()
    score = system.train(folder / "train.parquet")
    train_seconds = time.perf_counter() - began if system.train is not vader else 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    score(holdout["text"].head(1_000))
    began, began_cpu = time.perf_counter(), time.process_time()
    probabilities = score(holdout["text"])
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    others = {path.stem: _macro_recall(score, path) for path in sorted(OTHER_DOMAINS.glob("*.parquet"))}
    found = {
        "model": name,
        "effort": system.effort,
        "train_seconds": train_seconds,
        "score_tweets_per_second": len(holdout) / seconds,
        "score_tweets_per_cpu_second": len(holdout) / cpu_seconds,
        "holdout": float(np.mean((probabilities >= 0.5) == (holdout["label"].to_numpy() == 1))),
        "gold": _accuracy(score, gold),
        "other_domains": others | {"mean": statistics.mean(others.values())} if others else None,
        "peak_mb": peak,
        "load": load,
    }
    return (
        found
        if system.effort is None
        else found | _more_of_ours(system.effort, score, holdout, probabilities, folder, with_seeds)
    )


def _more_of_ours(
    effort: int, score: Score, holdout: pl.DataFrame, probabilities: np.ndarray, folder: Path, with_seeds: bool
) -> dict[str, Any]:
    """What is asked of our own model alone: calibration, what mentions and links are worth to it, and for the default how
    much its seed decides."""
    from sentiment.evaluation.metrics import evaluate
    from sentiment.training.config import TrainingConfig

    texts, labels = holdout["text"], holdout["label"]
    more: dict[str, Any] = {
        "calibration_error": evaluate(labels.to_numpy(), probabilities).calibration_error,
        "holdout_without_mentions": _accuracy(score, holdout.select("label", text=texts.str.replace_all(r"@\w+", ""))),
        "holdout_without_links": _accuracy(
            score, holdout.select("label", text=texts.str.replace_all(r"(?i)(?:https?://|www\.)\S*", ""))
        ),
    }
    if with_seeds and effort == TrainingConfig().effort:
        gold = pl.read_parquet(folder / "gold.parquet", columns=["label", "text"])
        scores = [score, *(ours(effort, seed)(folder / "train.parquet") for seed in range(1, SEEDS))]
        more["holdout_over_seeds"] = [_accuracy(one, holdout) for one in scores]
        more["gold_over_seeds"] = [_accuracy(one, gold) for one in scores]
    return more


def _is_there(module: str | None) -> bool:
    return module is None or importlib.util.find_spec(module) is not None


def _medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of every number the median; of all else what the first run said."""

    def median(values: list[Any]) -> Any:
        first = values[0]
        if isinstance(first, dict):
            return {key: median([value[key] for value in values]) for key in first}
        return statistics.median(values) if isinstance(first, float) else first

    return {key: median([run[key] for run in runs if key in run]) for key in runs[0]}


def draw(rows: list[dict[str, Any]]) -> None:
    """Hold-out accuracy against training time and against scoring speed, side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    figure, both = plt.subplots(1, 2, figsize=(14, 5), layout="constrained", sharey=True)
    for axes, measured, label in zip(
        both,
        ("train_seconds", "score_tweets_per_second"),
        ("training from raw text, seconds", "scoring from raw text, tweets a second"),
        strict=True,
    ):
        for is_ours, style, whose in ((True, "o-", "this project"), (False, "s", "peers")):
            # A system that learns nothing has no place on this axis, and a lexicon's accuracy would flatten all others.
            shown = [row for row in rows if (row["effort"] is not None) == is_ours and row["train_seconds"] > 0]
            shown.sort(key=lambda row: row[measured])
            axes.plot([row[measured] for row in shown], [100 * row["holdout"] for row in shown], style, label=whose)
            for row in shown:
                place = (row[measured], 100 * row["holdout"])
                name = f"effort {row['effort']}" if is_ours else row["model"]
                axes.annotate(name, place, (5, -12) if is_ours else (5, 5), textcoords="offset points", fontsize=8)
        axes.set(xscale="log", xlabel=label, ylabel="hold-out accuracy, %")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.4)
        axes.grid(alpha=0.3)
    both[0].legend(loc="lower right")
    figure.savefig(RESULTS.with_suffix(".png"), dpi=100)
    plt.close(figure)


def main() -> None:
    """Measure, print a table, write results and pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="systems whose name holds one of these")
    parser.add_argument("--peers", type=Path, help="the folder that the peers were installed into")
    parser.add_argument("--times", type=int, default=1, help="how often each trains; a row has the medians")
    parser.add_argument("--rows", type=int, default=400_000, help="generated tweets, where the real file is not")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--no-seeds", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.peers:
        sys.path.append(str(chosen.peers.resolve()))
    if chosen.one:
        print(json.dumps(measure(chosen.one[0], Path(chosen.one[1]), with_seeds=not chosen.no_seeds)))
        return
    known = systems()
    names = [name for name in known if not chosen.only or any(part in name for part in chosen.only)]
    if not names:
        parser.error(f"no system's name holds one of {chosen.only}; there are {list(known)}")
    folder = exported(chosen.rows)
    data = json.loads((folder / "export.json").read_text())["data_digest"]
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    rows = [row for row in rows if row["data_digest"] == data]
    for name in [name for name in names if not _is_there(known[name].needs)]:
        print(f"{name}: skipped, there is no {known[name].needs}; install the peers (--help)", file=sys.stderr)
        names.remove(name)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for name in names * chosen.times:
        print(name, file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.accuracy", "--one", name, str(folder)]
        command += ["--peers", str(chosen.peers)] if chosen.peers else []
        # What another seed makes of it is asked once.
        command += ["--no-seeds"] if runs[name] else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        runs[name].append(json.loads(done.stdout.splitlines()[-1]))
        found = {**_medians(runs[name]), "runs": len(runs[name]), "data_digest": data}
        rows = [row for row in rows if row["model"] != name] + [found]
        rows.sort(key=lambda row: list(known).index(row["model"]))
        RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    draw(rows)
    for row in rows:
        elsewhere = f"{100 * row['other_domains']['mean']:5.1f}" if row["other_domains"] else "    -"
        print(
            f"{row['model']:34} {100 * row['holdout']:5.2f} % of hold-out, {elsewhere} % elsewhere, "
            f"{row['train_seconds']:7.1f} s, {row['score_tweets_per_second']:9,.0f} tweets/s, {row['peak_mb']:6,.0f} MB"
        )


if __name__ == "__main__":
    main()
