"""From an export to a registered version with its evidence: what it was trained on, its accuracy, its config.

A version is identified by its training key, a digest of subset, config and seed. Equal keys give equal weights, so a run
that is repeated, or was killed after registration, takes the version that exists.
"""

from __future__ import annotations

import hashlib
import resource
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sentiment.errors import InputError, ModelError, TrainingError
from sentiment.evaluation.comparison import alpha_of_look, detectable_difference
from sentiment.evaluation.metrics import Evaluation, evaluate
from sentiment.evaluation.shares import ClassScores, class_scores
from sentiment.model.neutral import LABELS
from sentiment.registry.client import Registry
from sentiment.registry.history import config_json, count_looks, record_evaluation, record_version
from sentiment.registry.names import FED_ROWS, REFERENCE_PREDICTIONS, RegisteredVersion
from sentiment.settings import Home
from sentiment.training.config import TrainingJob
from sentiment.training.learning_curve import USUAL_DISCORDANCE, CurvePoint, Outlook, is_flat, noise_of_rung
from sentiment.training.learning_curve_plot import curve_figure
from sentiment.training.neutrality import FEWEST_NEUTRAL, fit_neutral
from sentiment.training.predictions import gold_sets, predictions_of
from sentiment.training.run_metrics import LossCurve, log_quality
from sentiment.training.subsets import SUBSET_RULE, Export, next_rung
from sentiment.warehouse.connection import translated_errors, writer

if TYPE_CHECKING:
    from sentiment.training.fit import Progress, TrainingResult

REFERENCE_ROWS = 1_000
_MOST_RUNGS = 8
"""Evaluated again at once when the hold-out has changed: the largest, which tell most."""


@dataclass(frozen=True)
class TrainedVersion:
    """A version that was trained on a subset, now or earlier."""

    version: RegisteredVersion
    was_reused: bool
    count_train_rows: int
    train_seconds: float
    holdout: Evaluation


def train_version(
    home: Home,
    registry: Registry,
    export: Export,
    job: TrainingJob,
    on_progress: Callable[[Progress], None] | None = None,
) -> TrainedVersion:
    """Train on the first rows of an export and register the version; or take the one that was trained so before.

    Raises:
        InputError: more rows are asked for than there are, or the word vectors cannot be used.
        TrainingError: the subset is too small to train on.
    """
    if job.config.custom_rows and not job.config.custom:
        raise InputError(
            f"Asked for a model of your own that trains on {job.config.custom_rows:,} rows, and named none. Name it: "
            "`--model my_package.my_module:build` or SENTIMENT_MODEL; or leave the number out."
        )
    if job.rows > export.count_train_rows:
        raise InputError(
            f"Asked to train on {job.rows:,} rows; the training split has {export.count_train_rows:,} labelled rows. "
            "Ask for fewer rows, or leave the number out for the next growing subset."
        )
    described = job.config.model_dump(mode="json")
    if (count_neutral := _count_fitted_on(export)) >= FEWEST_NEUTRAL:
        described["neutral"] = [count_neutral, export.neutral_digest]
    config = config_json(described)
    subset_digest = export.subset_digest(job.rows)
    key = hashlib.sha256(f"{subset_digest}|{config}|{job.seed}".encode()).hexdigest()
    found = registry.find(key)
    was_reused = found is not None
    if found is None:
        with translated_errors(home):
            found = _train(home, registry, export, job, key, on_progress)
    cost = registry.metrics(found)
    row: dict[str, Any] = {
        "model_version": found.model_version,
        "run_id": found.run_id,
        "training_key": key,
        "count_train_rows": job.rows,
        "count_fed_rows": int(cost["fed_rows"]),
        "subset_rule": SUBSET_RULE.format(rows=f"{job.rows:,}"),
        "data_digest": export.data_digest,
        "subset_digest": subset_digest,
        "holdout_digest": export.holdout_digest,
        "gold_digest": export.gold_digest,
        "seed": job.seed,
        "config": config,
        "train_seconds": cost["train_seconds"],
        "train_peak_mb": cost["train_peak_mb"],
    }
    evaluations, scores = _evaluate(registry, export, found)
    if "holdout_accuracy" not in cost:
        log_quality(registry, export, found, predictions_of(registry, export, found))
    with writer(home) as warehouse:
        record_version(warehouse, row, evaluations, scores)
    shutil.rmtree(home.checkpoints / key[:16], ignore_errors=True)
    return TrainedVersion(found, was_reused, job.rows, cost["train_seconds"], evaluations["holdout"])


def look_ahead(home: Home, registry: Registry, export: Export, trained: TrainedVersion) -> tuple[Outlook, bytes]:
    """Say what the next rung should bring, from the rungs of its kind so far, and draw it (PNG, kept with the run too)."""
    left_out = _evaluate_rungs(home, registry, export)
    with writer(home) as warehouse:
        rows = warehouse.frame(
            "steps/training/select_curve_points",
            holdout_digest=export.holdout_digest,
            model_version=trained.version.model_version,
        ).rows(named=True)
        look = count_looks(warehouse, "") + 1
    count_holdout = trained.holdout.count_rows
    noise = noise_of_rung(count_holdout)
    points = [CurvePoint(row["rows"], row["accuracy"], noise, row["seconds"]) for row in rows]
    if trained.count_train_rows not in [point.rows for point in points]:
        points.append(CurvePoint(trained.count_train_rows, trained.holdout.accuracy, noise, trained.train_seconds))
        points.sort(key=lambda point: point.rows)
    following = next_rung(max(point.rows for point in points), export.count_train_rows)
    resolvable = detectable_difference(count_holdout, USUAL_DISCORDANCE, alpha_of_look(look, home.settings.gate.alpha))
    picture = curve_figure(points, max(following, 2 * points[-1].rows))
    registry.log_picture(trained.version.run_id, picture, "learning_curve.png")
    outlook = is_flat(points, following, resolvable)
    return replace(outlook, reason=" ".join([outlook.reason, *left_out])), picture


def _evaluate_rungs(home: Home, registry: Registry, export: Export) -> list[str]:
    """Evaluate each rung that was trained when the hold-out was another one, so that all points of the curve are measured on
    the same rows; corrections and new tweets change the hold-out. Some seconds a version.

    Returns:
        a sentence for each version that is left out, since it cannot be read.
    """
    left_out = []
    with writer(home) as warehouse:
        rungs = warehouse.frame("steps/training/select_rungs_to_evaluate", holdout_digest=export.holdout_digest).rows(
            named=True
        )
    registered = set(registry.numbers()) if rungs else set()
    for rung in rungs[:_MOST_RUNGS]:
        if rung["model_version"] not in registered:
            continue
        try:
            evaluations, scores = _evaluate(registry, export, registry.version(rung["model_version"]))
        except ModelError as error:
            left_out.append(f"Version {rung['model_version']} is left out of the curve: {error}")
            continue
        with writer(home) as warehouse:
            record_evaluation(warehouse, rung, {"holdout": evaluations["holdout"]}, scores, export.holdout_digest)
    return left_out


def evaluate_version(registry: Registry, export: Export, model_version: int) -> dict[str, Evaluation]:
    """Evaluate a registered version on the hold-out and on the hand-labelled sets (`gold:<name>`).

    Raises:
        ModelError: the version cannot be loaded.
    """
    return _evaluate(registry, export, registry.version(model_version))[0]


def _evaluate(
    registry: Registry, export: Export, version: RegisteredVersion
) -> tuple[dict[str, Evaluation], ClassScores]:
    """`evaluate_version`, and how the probabilities of the hold-out are spread in each class."""
    found = predictions_of(registry, export, version)
    labels = pl.read_parquet(export.holdout, columns=["label"])["label"].to_numpy()
    evaluations = {"holdout": evaluate(labels, found.holdout)}
    for name, rows in gold_sets(export).items():
        evaluations[f"gold:{name}"] = evaluate(rows["label"].to_numpy(), found.gold[name])
    return evaluations, class_scores(labels, found.holdout)


def _train(
    home: Home,
    registry: Registry,
    export: Export,
    job: TrainingJob,
    key: str,
    on_progress: Callable[[Progress], None] | None,
) -> RegisteredVersion:
    from sentiment.training.fit import fit

    folder = home.checkpoints / key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    fed_rows, reference = folder / FED_ROWS, folder / REFERENCE_PREDICTIONS
    described = {
        "data_digest": export.data_digest,
        "holdout_digest": export.holdout_digest,
    }
    what = f"effort {job.config.effort}"
    if job.config.custom:
        what = f"{job.config.custom.name} and {what}"
        job = _try_out(home, export, job, folder / "custom")
    with registry.training_run(key, run_name=f"{job.rows:,} rows, {what}, seed {job.seed}") as run_id:
        parameters = {
            "rows": job.rows,
            "seed": job.seed,
            "device": job.device,
            "subset_rule": SUBSET_RULE.format(rows=f"{job.rows:,}"),
            **described,
            **_flat(job.config.model_dump(mode="json")),
        }
        registry.log(run_id, parameters=parameters)
        registry.log_dataset(run_id, job.rows, digest=export.data_digest, source=export.train)
        losses = LossCurve()

        def watch(progress: Progress) -> None:
            losses.add(progress.rows_done, progress.loss)
            if on_progress:
                on_progress(progress)

        result = fit(job, export.train, fed_rows_path=fed_rows, checkpoint_folder=folder, on_progress=watch)
        neutral_rows = pl.read_parquet(export.neutral).filter(evaluation_set="fit")
        neutral = fit_neutral(result.model, neutral_rows)
        result.model.config = result.model.config.model_copy(update={"neutral": neutral})
        _write_reference_predictions(export, result.model.predict_probability, reference)
        registry.log_curve(run_id, [*losses.points, *result.curve], step="rows_seen")
        registry.log(run_id, metrics=_cost(result, fed_rows))
        return registry.register(
            run_id,
            key,
            result.model,
            files={FED_ROWS: fed_rows, REFERENCE_PREDICTIONS: reference},
            tags={"accuracy": "", "verdict": "not judged yet", "rows": f"{job.rows:,}"},
        )


def _try_out(home: Home, export: Export, job: TrainingJob, folder: Path) -> TrainingJob:
    """Copy what a user's own module is made from, and refuse one that cannot be trained or is too slow for the gate."""
    from sentiment.training import custom

    assert job.model is not None
    assert job.config.custom is not None
    gate = home.settings.gate
    with writer(home) as warehouse:
        count_tweets = warehouse.value("steps/warehouse/count_tweets")
    texts = pl.read_parquet(export.holdout, columns=["text"])["text"]
    budget = custom.Budget(gate.rescoring_seconds, count_tweets, texts)
    custom.copy_source(job.model, job.config.custom, folder)
    is_asked = "speed" not in gate.switched_off
    try:
        custom.try_out(job.config.custom, folder, job.config.features, budget if is_asked else None, job.device)
    except TrainingError:
        shutil.rmtree(folder)
        raise
    return replace(job, custom_folder=folder)


def _count_fitted_on(export: Export) -> int:
    """Hand-labelled neutral tweets that the rule for neutral may be fitted on."""
    neutral = pl.scan_parquet(export.neutral).filter(evaluation_set="fit", label=LABELS.index("neutral"))
    count: int = neutral.select(pl.len()).collect().item()
    return count


def _cost(result: TrainingResult, fed_rows: Path) -> dict[str, float]:
    """What MLflow shows of a training's cost."""
    return {
        "train_seconds": result.seconds,
        "train_rows_per_second": result.rows_per_second,
        "train_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "fed_rows": pl.scan_parquet(fed_rows).select(pl.len()).collect().item(),
    }


def _write_reference_predictions(
    export: Export, predict: Callable[[pl.Series], NDArray[np.float32]], path: Path
) -> None:
    """Keep the model's predictions for some hold-out tweets right after training; the gate compares the registered copy's."""
    rows = pl.scan_parquet(export.holdout).select("tweet_id", "text").head(REFERENCE_ROWS).collect()
    rows.select("tweet_id", probability_positive=pl.Series(predict(rows["text"]))).write_parquet(path)


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
