"""What MLflow shows of a version's quality: on the hold-out, in each of its slices, and on each hand-labelled set."""

from __future__ import annotations

import polars as pl
from sklearn.metrics import precision_recall_fscore_support

from sentiment.evaluation.figures import calibration_figure, confusion_figure
from sentiment.evaluation.metrics import evaluate
from sentiment.evaluation.slices import slice_masks
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.training.predictions import Predictions, gold_sets
from sentiment.training.subsets import Export

CURVE_POINTS = 50


def quality_metrics(export: Export, found: Predictions) -> dict[str, float]:
    """Metrics by name; MLflow puts those with the same part before a slash into one section."""
    holdout = pl.read_parquet(export.holdout)
    labels = holdout["label"].to_numpy()
    whole = evaluate(labels, found.holdout)
    metrics = {
        "holdout_accuracy": whole.accuracy,
        "holdout_accuracy_lower": whole.lower,
        "holdout_accuracy_upper": whole.upper,
        "holdout_log_loss": whole.log_loss,
        "holdout_calibration_error": whole.calibration_error,
    }
    by_class = precision_recall_fscore_support(labels == 1, found.holdout >= 0.5, labels=[False, True], zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), by_class, strict=False):
        for label, value in zip(("negative", "positive"), values, strict=True):
            metrics[f"holdout_{name}_{label}"] = float(value)
    is_right = (found.holdout >= 0.5) == (labels == 1)
    for name, mask in slice_masks(holdout).items():
        if mask.any():
            metrics[f"slice_accuracy/{name.replace(':', ' ')}"] = float(is_right[mask].mean())
    for name, rows in gold_sets(export).items():
        gold = evaluate(rows["label"].to_numpy(), found.gold[name])
        metrics[f"gold_accuracy/{_allowed(name)}"] = gold.accuracy
        metrics[f"gold_log_loss/{_allowed(name)}"] = gold.log_loss
    return metrics


def log_quality(registry: Registry, export: Export, version: RegisteredVersion, found: Predictions) -> None:
    """Put metrics and pictures on the page of a version's run."""
    labels = pl.read_parquet(export.holdout, columns=["label"])["label"].to_numpy()
    registry.log_picture(version.run_id, confusion_figure(labels, found.holdout), "confusion_matrix.png")
    registry.log_picture(version.run_id, calibration_figure(labels, found.holdout), "calibration.png")
    registry.log(version.run_id, metrics=quality_metrics(export, found))


class LossCurve:
    """The training loss against rows, thinned to about fifty points however long a training is."""

    def __init__(self) -> None:
        self.points: list[dict[str, float]] = []
        self._stride, self._count = 1, 0

    def add(self, rows_seen: int, loss: float) -> None:
        """Take a point, or leave it out."""
        self._count += 1
        if self._count % self._stride:
            return
        self.points.append({"rows_seen": rows_seen, "batch_loss": loss})
        if len(self.points) >= 2 * CURVE_POINTS:
            self.points, self._stride = self.points[1::2], 2 * self._stride


def _allowed(name: str) -> str:
    """A name with what MLflow takes in a metric's."""
    return "".join(character if character.isalnum() or character in "_-. " else "_" for character in name)
