"""The gate's decisions in the warehouse, one row a check, and the losses they show; none is written twice."""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl

from sentiment import clock
from sentiment.gate.checks import Loss, Verdict
from sentiment.warehouse.session import Warehouse


def find_decision(warehouse: Warehouse, decision_key: str) -> list[dict[str, Any]]:
    """The checks of an earlier decision with this key, if there is one."""
    return list(warehouse.frame("steps/gate/select_decision", decision_key=decision_key).iter_rows(named=True))


def last_decision(warehouse: Warehouse, model_version: int) -> list[dict[str, Any]]:
    """The checks of the newest decision on a version."""
    return list(warehouse.frame("steps/gate/select_last_decision", model_version=model_version).iter_rows(named=True))


def record_decision(
    warehouse: Warehouse, verdict: Verdict, *, decision_key: str, model_version: int, champion_version: int | None
) -> None:
    """Write one row a check, once a decision."""
    with warehouse.transaction():
        if find_decision(warehouse, decision_key):
            return
        decision = {
            "decision_key": decision_key,
            "decided_at": clock.now(),
            "model_version": model_version,
            "champion_version": champion_version,
        }
        rows = [{**decision, **dataclasses.asdict(check)} for check in verdict.checks]
        warehouse.load("steps/gate/insert_decisions", pl.DataFrame(rows, infer_schema_length=None))
        if verdict.losses:
            losses = [
                {"decision_key": decision_key, "loss_number": number, **dataclasses.asdict(loss)}
                for number, loss in enumerate(verdict.losses, start=1)
            ]
            warehouse.load("steps/gate/insert_decision_losses", pl.DataFrame(losses, infer_schema_length=None))


def find_losses(warehouse: Warehouse, decision_key: str) -> tuple[Loss, ...]:
    """The texts shown with a decision, without those deleted since."""
    frame = warehouse.frame("steps/gate/select_decision_losses", decision_key=decision_key)
    return tuple(Loss(**row) for row in frame.iter_rows(named=True))
