"""Gathers the evidence, lets `promotion.decide` judge, writes the verdict down, and moves the alias when it passed.

The verdict is recorded before the alias moves, and both follow from the same data: a run that is killed in between finds
its decision again by key and finishes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sentiment.evaluation.behaviour import SHIPPED, Case, load_cases
from sentiment.gate.checks import Check, Verdict, decide
from sentiment.gate.evidence import gather_evidence
from sentiment.gate.history import find_decision, find_losses, last_decision, record_decision
from sentiment.gate.report import decision_markdown
from sentiment.registry import history
from sentiment.registry.champion import champion_lock, move_champion
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import GateThresholds, Home
from sentiment.training.subsets import Export
from sentiment.warehouse.connection import writer


@dataclass(frozen=True)
class Decision:
    """What the gate decided on a challenger, now or in a run that was repeated."""

    model_version: int
    champion_version: int | None
    verdict: Verdict
    is_champion: bool
    awaits_approval: bool = False
    was_champion: bool = False
    was_decided: bool = False


def decide_on(home: Home, registry: Registry, export: Export, challenger: RegisteredVersion) -> Decision:
    """Judge a challenger against the champion on the same frozen rows, record it, and promote it if it passed.

    Raises:
        InputError: a file of behaviour tests of the user's own is malformed.
    """
    cases = load_cases([SHIPPED, home.behaviour])
    champion = registry.champion()
    with writer(home) as warehouse:
        history.reconcile_champion(warehouse, champion.model_version if champion else None)
        if champion is not None and champion.model_version == challenger.model_version:
            checks = tuple(Check(**row) for row in last_decision(warehouse, challenger.model_version))
            return Decision(challenger.model_version, None, Verdict(checks), True, was_champion=True)
        rolled_back = warehouse.value("steps/gate/select_rollback_reason", model_version=challenger.model_version)
        key = _decision_key(home.settings.gate, export, challenger, champion, cases, rolled_back)
        known = find_decision(warehouse, key)
        losses = find_losses(warehouse, key) if known else ()
        look = history.count_looks(warehouse, key) + 1
        count_tweets = warehouse.value("steps/warehouse/count_tweets")
    if known:
        verdict = Verdict(tuple(Check(**row) for row in known), losses)
    else:
        evidence = gather_evidence(
            home,
            registry,
            export,
            challenger,
            champion,
            look=look,
            cases=cases,
            count_tweets=count_tweets,
        )
        verdict = decide(replace(evidence, rolled_back=rolled_back), home.settings.gate)
        with writer(home) as warehouse:
            record_decision(
                warehouse,
                verdict,
                decision_key=key,
                model_version=challenger.model_version,
                champion_version=champion.model_version if champion else None,
            )
    champion_version = champion.model_version if champion else None
    awaits_approval = verdict.passed and home.settings.needs_approval
    _tell_mlflow(registry, challenger, champion_version, verdict, awaits_approval)
    if not verdict.passed or awaits_approval:
        return Decision(
            challenger.model_version, champion_version, verdict, False, awaits_approval, was_decided=bool(known)
        )
    with champion_lock(home):
        if registry.champion() == champion:
            move_champion(
                home,
                registry,
                challenger.model_version,
                change=history.PROMOTION,
                changed_by=history.GATE,
                reason=history.PASSED_REASON,
            )
            return Decision(challenger.model_version, champion_version, verdict, is_champion=True)
    # Somebody moved the alias while this was judged: the challenger has to face the champion of now.
    return decide_on(home, registry, export, challenger)


def _decision_key(
    thresholds: GateThresholds,
    export: Export,
    challenger: RegisteredVersion,
    champion: RegisteredVersion | None,
    cases: Sequence[Case],
    rolled_back: str | None,
) -> str:
    behaviour = "".join(f"{case.name}{case.texts}{case.test.model_dump_json()}" for case in cases)
    parts = (
        challenger.model_version,
        champion.model_version if champion else None,
        export.holdout_digest,
        export.gold_digest,
        thresholds.model_dump_json(),
        hashlib.sha256(behaviour.encode()).hexdigest(),
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
    report = decision_markdown(challenger.model_version, champion_version, verdict, awaits_approval=awaits_approval)
    tags = {
        "verdict": "awaits approval" if awaits_approval else "passed" if verdict.passed else "refused",
        "failed_checks": ",".join(c.check_name for c in verdict.failed),
    }
    registry.tag_version(challenger.model_version, tags, description=report)
    registry.log_text(challenger.run_id, report, "decision.md")
