"""What the warehouse records of models: versions, learning curve, and who was champion when.

MLflow's alias is the truth and these tables follow it. Each step writes its rows in one transaction, and only if they are
not there yet, so a run that was killed between two systems ends in the same rows when it runs again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from sentiment import clock
from sentiment.evaluation.metrics import Evaluation
from sentiment.evaluation.shares import ClassScores
from sentiment.registry.names import CHAMPION
from sentiment.warehouse.session import Warehouse

GATE, MLFLOW = "gate", "mlflow"
PROMOTION, ROLLBACK, OUTSIDE = "promotion", "rollback", "outside"


def record_version(
    warehouse: Warehouse, row: Mapping[str, Any], evaluations: Mapping[str, Evaluation], scores: ClassScores
) -> None:
    """Write a version, its points of the learning curve and the spread of its probabilities, once."""
    with warehouse.transaction():
        if warehouse.value("steps/registry/count_model_version", model_version=row["model_version"]):
            return
        warehouse.load("steps/registry/insert_model_version", pl.DataFrame([{**row, "registered_at": clock.now()}]))
        _insert_evaluation(warehouse, row, evaluations, scores, row["holdout_digest"])


def record_evaluation(
    warehouse: Warehouse,
    row: Mapping[str, Any],
    evaluations: Mapping[str, Evaluation],
    scores: ClassScores,
    holdout_digest: str,
) -> None:
    """Write the figures of a version that was evaluated again, on another hold-out.

    Args:
        row: model_version, count_train_rows and train_seconds.
    """
    with warehouse.transaction():
        _insert_evaluation(warehouse, row, evaluations, scores, holdout_digest)


def _insert_evaluation(
    warehouse: Warehouse,
    row: Mapping[str, Any],
    evaluations: Mapping[str, Evaluation],
    scores: ClassScores,
    holdout_digest: str,
) -> None:
    now = clock.now()
    points = [
        {
            "model_version": row["model_version"],
            "evaluated_at": now,
            "count_train_rows": row["count_train_rows"],
            "evaluation_set": name,
            "train_seconds": row["train_seconds"],
            "holdout_digest": holdout_digest,
            **{key: value for key, value in vars(found).items() if key != "majority_share"},
        }
        for name, found in evaluations.items()
    ]
    warehouse.load("steps/registry/insert_learning_curve", pl.DataFrame(points))
    spread = {"model_version": row["model_version"], "evaluated_at": now, **vars(scores)}
    warehouse.load("steps/registry/insert_class_scores", pl.DataFrame([spread]))


def count_looks(warehouse: Warehouse, decision_key: str) -> int:
    """Comparisons with a champion within the last year, this decision left out."""
    return int(warehouse.value("steps/registry/count_looks", decision_key=decision_key))


def recorded_champion(warehouse: Warehouse) -> int | None:
    """The champion according to `alias_history`."""
    version: int | None = warehouse.value("steps/registry/select_recorded_champion", alias=CHAMPION)
    return version


@dataclass(frozen=True)
class Change:
    """A change of champion: who becomes it, `PROMOTION` or `ROLLBACK` or `OUTSIDE`, by whom, and why."""

    model_version: int
    change: str
    changed_by: str
    reason: str


def intend(warehouse: Warehouse, change: Change) -> None:
    """Note a change before the alias moves, so that it can be finished when it is interrupted."""
    with warehouse.transaction():
        warehouse.run("steps/registry/replace_intended_change", **vars(change))


def intended(warehouse: Warehouse) -> Change | None:
    """The change that is under way, or was interrupted."""
    row = warehouse.run("steps/registry/select_intended_change").fetchone()
    return None if row is None else Change(*row)


def record_champion(warehouse: Warehouse, change: Change) -> bool:
    """Write that the alias points to a version from now on, unless the newest row says so already.

    Within the caller's transaction.

    Returns:
        whether a row was written.
    """
    warehouse.run("steps/registry/delete_intended_change")
    before = recorded_champion(warehouse)
    if before == change.model_version:
        return False
    warehouse.run("steps/registry/insert_alias_change", alias=CHAMPION, from_version=before, **vars(change))
    return True


def reconcile_champion(warehouse: Warehouse, champion: int | None) -> bool:
    """Record a move of the alias that is not in the table: made in MLflow itself, or by a run that was killed before it wrote
    its row.

    Returns:
        whether there was something to write.
    """
    if champion is None or champion == recorded_champion(warehouse):
        return False
    change = intended(warehouse)
    if change is None or change.model_version != champion:
        reason = "The alias was moved in MLflow; noticed afterwards."
        change = Change(champion, OUTSIDE, MLFLOW, reason)
    with warehouse.transaction():
        return record_champion(warehouse, change)


PASSED_REASON = "It passed every check of the gate."


def record_run(warehouse: Warehouse, row: Mapping[str, Any]) -> None:
    """Write what a flow run did and cost."""
    warehouse.load("steps/registry/insert_run", pl.DataFrame([row]))


def config_json(config: Mapping[str, Any]) -> str:
    """A configuration as canonical JSON: equal configurations give equal text."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"))
