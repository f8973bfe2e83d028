"""Gathers the evidence, lets `promotion.decide` judge, writes the verdict down, and moves the alias when it passed.

The verdict is recorded before the alias moves, and both follow from the same data: a run that is killed in between finds
its decision again by key and finishes it.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from sentiment import history
from sentiment.champion import champion_lock, move_champion
from sentiment.errors import ModelError
from sentiment.evaluation import evaluate, paired_difference
from sentiment.load_probe import predict_in_fresh_process
from sentiment.promotion import Check, Evidence, Verdict, alpha_of_look, decide
from sentiment.registry import RegisteredVersion, Registry
from sentiment.reports import decision_markdown
from sentiment.retraining import HeldOutPredictions, predict_held_out
from sentiment.settings import Home, Settings
from sentiment.subsets import Export
from sentiment.warehouse import scratch, writer


@dataclass(frozen=True)
class Decision:
    """What the gate decided on a challenger, now or in a run that was repeated."""

    model_version: int
    champion_version: int | None
    verdict: Verdict
    is_champion: bool
    awaits_approval: bool = False


def decide_on(
    home: Home, settings: Settings, registry: Registry, export: Export, challenger: RegisteredVersion
) -> Decision:
    """Judge a challenger against the champion on the same frozen rows, record it, and promote it if it passed."""
    champion = registry.champion()
    with writer(home, settings) as warehouse:
        history.reconcile_champion(warehouse, champion.model_version if champion else None)
        if champion is not None and champion.model_version == challenger.model_version:
            checks = tuple(Check(**row) for row in history.last_decision(warehouse, challenger.model_version))
            return Decision(challenger.model_version, None, Verdict(checks), is_champion=True)
        rolled_back = warehouse.value("steps/select_rollback_reason", model_version=challenger.model_version)
        key = _decision_key(settings, export, challenger, champion, rolled_back)
        known = history.find_decision(warehouse, key)
        look = history.count_looks(warehouse, key) + 1
    if known:
        verdict = Verdict(tuple(Check(**row) for row in known))
    else:
        evidence = gather_evidence(home, settings, registry, export, challenger, champion, look)
        verdict = decide(replace(evidence, rolled_back=rolled_back), settings.gate)
        with writer(home, settings) as warehouse:
            history.record_decision(
                warehouse,
                verdict,
                decision_key=key,
                model_version=challenger.model_version,
                champion_version=champion.model_version if champion else None,
            )
    champion_version = champion.model_version if champion else None
    awaits_approval = verdict.passed and settings.needs_approval
    _tell_mlflow(registry, challenger, champion_version, verdict, awaits_approval)
    if not verdict.passed or awaits_approval:
        return Decision(challenger.model_version, champion_version, verdict, False, awaits_approval)
    with champion_lock(home, settings):
        if registry.champion() == champion:
            move_champion(
                home,
                settings,
                registry,
                challenger.model_version,
                change=history.PROMOTION,
                changed_by=history.GATE,
                reason=history.PASSED_REASON,
            )
            return Decision(challenger.model_version, champion_version, verdict, is_champion=True)
    # Somebody moved the alias while this was judged: the challenger has to face the champion of now.
    return decide_on(home, settings, registry, export, challenger)


def gather_evidence(
    home: Home,
    settings: Settings,
    registry: Registry,
    export: Export,
    challenger: RegisteredVersion,
    champion: RegisteredVersion | None,
    look: int,
) -> Evidence:
    """Measure all that the gate looks at; what cannot be measured is evidence too."""
    holdout = pl.read_parquet(export.holdout, columns=["tweet_id", "label"])
    try:
        found: HeldOutPredictions | None = predict_held_out(registry, export, challenger.model_version)
        difference, error = _load_difference(home, registry, export, challenger)
    except ModelError as raised:
        found, difference, error = None, None, str(raised)
    fed_rows = registry.fed_rows(challenger)
    evidence = Evidence(
        count_evaluation_rows=len(holdout) + pl.scan_parquet(export.gold).select(pl.len()).collect().item(),
        count_leaked=None if fed_rows is None else len(_leaked_rows(export, fed_rows)),
        load_difference=difference,
        load_error=error,
        challenger=found.evaluations["holdout"] if found else evaluate(np.zeros(0, np.int8), np.zeros(0, np.float32)),
        look=look,
    )
    if champion is None or found is None:
        return evidence
    left_out = _fed_holdout_ids(registry, export, champion)
    is_compared = (
        np.ones(len(holdout), dtype=bool) if left_out is None else ~holdout["tweet_id"].is_in(left_out).to_numpy()
    )
    compared = holdout["label"].to_numpy()[is_compared] == 1
    right = (found.holdout[is_compared] >= 0.5) == compared
    try:
        former: HeldOutPredictions | None = predict_held_out(registry, export, champion.model_version)
    except ModelError:
        # A champion that cannot be loaded scores nothing any more: whatever passes the other checks is better.
        former = None
    champion_right = (former.holdout[is_compared] >= 0.5) == compared if former else np.zeros(len(compared), dtype=bool)
    return replace(
        evidence,
        comparison=paired_difference(champion_right, right, alpha_of_look(look, settings.gate.alpha)),
        champion_accuracy=float(champion_right.mean()) if len(compared) else math.nan,
        challenger_accuracy=float(right.mean()) if len(compared) else math.nan,
        count_left_out=None if left_out is None else int((~is_compared).sum()),
    )


def _leaked_rows(export: Export, fed_rows: Path) -> pl.DataFrame:
    with scratch() as database:
        return database.frame(
            "checks/leaked_rows", fed_rows=str(fed_rows), holdout=str(export.holdout), gold=str(export.gold)
        )


def _fed_holdout_ids(registry: Registry, export: Export, champion: RegisteredVersion) -> list[int] | None:
    fed_rows = registry.fed_rows(champion)
    if fed_rows is None:
        return None
    leaked = _leaked_rows(export, fed_rows)
    return leaked.filter(pl.col("evaluation_set") == "holdout")["tweet_id"].to_list()


def _load_difference(
    home: Home, registry: Registry, export: Export, challenger: RegisteredVersion
) -> tuple[float | None, str]:
    """Largest difference between the registered copy's probabilities and those right after training."""
    path = registry.probe(challenger)
    if path is None:
        return None, "the probabilities noted right after training are missing."
    rows = pl.read_parquet(path).join(pl.read_parquet(export.holdout, columns=["tweet_id", "text"]), on="tweet_id")
    if rows.is_empty():
        return None, "none of the tweets whose probabilities were noted after training is in the hold-out any more."
    with tempfile.TemporaryDirectory(dir=home.work) as folder:
        uri = f"models:/{registry.name}/{challenger.model_version}"
        answers = predict_in_fresh_process(registry.uri, uri, rows["text"], Path(folder))
    if isinstance(answers, str):
        return None, answers
    return float((answers - rows["probability_positive"].cast(pl.Float64)).abs().max()), ""  # type: ignore[arg-type]


def _decision_key(
    settings: Settings,
    export: Export,
    challenger: RegisteredVersion,
    champion: RegisteredVersion | None,
    rolled_back: str | None,
) -> str:
    parts = (
        challenger.model_version,
        champion.model_version if champion else None,
        export.holdout_digest,
        export.gold_digest,
        settings.gate.model_dump_json(),
        rolled_back,
    )
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def _tell_mlflow(
    registry: Registry,
    challenger: RegisteredVersion,
    champion_version: int | None,
    verdict: Verdict,
    awaits_approval: bool,
) -> None:
    report = decision_markdown(challenger.model_version, champion_version, verdict, awaits_approval)
    tags = {
        "verdict": "awaits approval" if awaits_approval else "passed" if verdict.passed else "refused",
        "failed_checks": ",".join(c.check_name for c in verdict.failed),
    }
    registry.tag_version(challenger.model_version, tags, description=report)
    registry.log_text(challenger.run_id, report, "decision.md")
