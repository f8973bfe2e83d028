"""Gathers the evidence, lets `checks.decide` judge it, writes the verdict down, and moves the alias when it passed.

The verdict is recorded before the alias moves, and both follow from the same data: a run that is killed in between finds
its decision again by key and finishes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from sentiment.evaluation.behaviour import SHIPPED, Case, load_cases
from sentiment.gate.checks import Check, Verdict, decide
from sentiment.gate.decision import Decision, Outcome
from sentiment.gate.evidence import Trial, gather_evidence
from sentiment.gate.history import find_decision, find_losses, last_decision, record_decision
from sentiment.gate.report import decision_markdown
from sentiment.markdown import percent
from sentiment.registry import history
from sentiment.registry.champion import champion_lock, known_champion, move_champion
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import Home, Settings
from sentiment.training.subsets import Export
from sentiment.warehouse.connection import writer

RULES = 2
"""Raised when the same evidence is judged otherwise, so that what earlier rules refused is judged again."""


def decide_on(home: Home, registry: Registry, export: Export, challenger: RegisteredVersion) -> Decision:
    """Judge a challenger against the champion on the same frozen rows, record it, and promote it if it passed.

    Raises:
        InputError: a file of behaviour tests of the user's own is malformed.
        ModelError: the champion was removed in MLflow, so there is nothing to compare with.
    """
    cases = load_cases([SHIPPED, home.behaviour])
    while True:
        with writer(home) as warehouse:
            champion = known_champion(registry, warehouse)
            history.reconcile_champion(warehouse, champion.model_version if champion else None)
            if champion == challenger:
                checks = tuple(Check(**row) for row in last_decision(warehouse, challenger.model_version))
                return Decision(challenger.model_version, None, Verdict(checks), Outcome.ALREADY_CHAMPION)
        decision = _judge(home, registry, export, challenger, champion, cases)
        _describe_in_mlflow(registry, challenger, decision)
        if decision.outcome is not Outcome.PROMOTED:
            return decision
        with champion_lock(home):
            # If somebody moved the alias meanwhile, the challenger has to face the champion of now.
            if registry.champion() == champion:
                change = history.Change(
                    challenger.model_version, history.PROMOTION, history.GATE, history.PASSED_REASON
                )
                move_champion(home, registry, change)
                return decision


def _judge(
    home: Home,
    registry: Registry,
    export: Export,
    challenger: RegisteredVersion,
    champion: RegisteredVersion | None,
    cases: Sequence[Case],
) -> Decision:
    """The decision on a challenger, from the record if the same was decided before; its outcome is yet to be carried out."""
    with writer(home) as warehouse:
        rolled_back = warehouse.value("steps/gate/select_rollback_reason", model_version=challenger.model_version)
        key = _decision_key(home.settings, export, challenger, champion, cases, rolled_back)
        known = find_decision(warehouse, key)
        losses = find_losses(warehouse, key) if known else ()
        look = history.count_looks(warehouse, key) + 1
        count_tweets = warehouse.value("steps/warehouse/count_tweets")
    champion_version = champion.model_version if champion else None
    if known:
        verdict = Verdict(tuple(Check(**row) for row in known), losses)
    else:
        evidence = gather_evidence(Trial(home, registry, export, look, cases, count_tweets), challenger, champion)
        verdict = decide(replace(evidence, rolled_back=rolled_back), home.settings.gate)
        with writer(home) as warehouse:
            record_decision(
                warehouse,
                verdict,
                decision_key=key,
                model_version=challenger.model_version,
                champion_version=champion_version,
            )
    if verdict.passed:
        outcome = Outcome.AWAITS_APPROVAL if home.settings.needs_approval else Outcome.PROMOTED
    else:
        outcome = Outcome.REFUSED_BEFORE if known else Outcome.REFUSED
    return Decision(challenger.model_version, champion_version, verdict, outcome)


def _decision_key(
    settings: Settings,
    export: Export,
    challenger: RegisteredVersion,
    champion: RegisteredVersion | None,
    cases: Sequence[Case],
    rolled_back: str | None,
) -> str:
    behaviour = "".join(f"{case.name}{case.texts}{case.test.model_dump_json()}" for case in cases)
    parts = (
        RULES,
        challenger.model_version,
        champion.model_version if champion else None,
        export.holdout_digest,
        export.gold_digest,
        export.neutral_digest,
        settings.gate.model_dump_json(),
        settings.labels,
        hashlib.sha256(behaviour.encode()).hexdigest(),
        rolled_back,
    )
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


_TAG = {Outcome.PROMOTED: "promoted", Outcome.AWAITS_APPROVAL: "awaits approval", Outcome.REFUSED: "refused"}


def _describe_in_mlflow(registry: Registry, challenger: RegisteredVersion, decision: Decision) -> None:
    """Write the verdict on the version's page in MLflow; repeating it changes nothing."""
    if decision.outcome is Outcome.REFUSED_BEFORE:
        decision = replace(decision, outcome=Outcome.REFUSED)
    report = decision_markdown(decision)
    checks = {check.check_name: check for check in decision.verdict.checks}
    floor, behaviour = checks.get("floor"), checks.get("behaviour")
    verdict = _TAG[decision.outcome]
    tags = {"verdict": verdict, "failed_checks": ",".join(check.check_name for check in decision.verdict.failed)}
    headline = verdict
    if floor and floor.challenger_value is not None:
        tags["accuracy"] = percent(floor.challenger_value)
        headline = f"{tags['accuracy']}{_interval(floor)}, {verdict}"
    if behaviour and behaviour.challenger_value is not None:
        registry.log(challenger.run_id, metrics={"behaviour_passed": behaviour.challenger_value})
    registry.tag_version(challenger.model_version, tags, description=f"{headline}\n\n{report}")
    registry.set_challenger(challenger.model_version)
    registry.log_text(challenger.run_id, report, "decision.md")


def _interval(check: Check) -> str:
    return (
        "" if check.lower is None or check.upper is None else f" ({100 * check.lower:.1f} to {100 * check.upper:.1f})"
    )
