"""The gate on a real registry: who becomes champion, why not, and what a kill in the middle leaves behind."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from sentiment.gate import decide as gate
from sentiment.gate import evidence
from sentiment.gate.checks import Check
from sentiment.gate.decision import Decision, Outcome
from sentiment.registry import history
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import GateThresholds, Home, Settings
from sentiment.training.subsets import Export

# Some 120 hold-out rows in 15 bins: the gap of a model that is right about itself is that of the draw.
SETTINGS = Settings(writer_wait_seconds=5, gate=GateThresholds(floor_calibration_error=0.25, behaviour_rate=0))
ALIASES = "select model_version, from_version, changed_by from alias_history order by changed_at"
DECISIONS = "select * from decisions order by all"


@pytest.fixture
def decide_in_fresh_process(world: Home, registry: Registry, frozen: Export) -> Callable[..., Decision]:
    def decide(challenger: RegisteredVersion, settings: Settings = SETTINGS) -> Decision:
        return gate.decide_on(replace(world, settings=settings), registry, frozen, challenger)

    return decide


@pytest.fixture
def decide(decide_in_fresh_process: Callable[..., Decision], loaded_here: None) -> Callable[..., Decision]:
    """Decides without the seconds that a fresh process takes; two tests below take them."""
    return decide_in_fresh_process


def by_name(decision: Decision) -> dict[str, Check]:
    return {check.check_name: check for check in decision.verdict.checks}


def failed(decision: Decision) -> list[str]:
    return [check.check_name for check in decision.verdict.failed]


def champion_of(registry: Registry) -> int | None:
    champion = registry.champion()
    return champion.model_version if champion else None


def test_a_first_model_that_passes_is_promoted_and_everybody_is_told(
    world: Home, registry: Registry, register: Callable, decide_in_fresh_process: Callable, rows_of: Callable
) -> None:
    version = register(20)
    decision = decide_in_fresh_process(version)
    assert (decision.is_champion, decision.champion_version, failed(decision)) == (True, None, [])
    assert champion_of(registry) == 1
    assert rows_of(world, ALIASES) == [(1, None, "gate")]
    assert rows_of(world, "select check_name, passed, model_version, champion_version from decisions order by 1") == [
        ("behaviour", True, 1, None),
        ("floor", True, 1, None),
        ("loads", True, 1, None),
        ("no_leak", True, 1, None),
        ("speed", True, 1, None),
    ]
    told = registry.client.get_model_version(registry.name, "1")
    share = by_name(decision)["floor"].challenger_value
    assert share is not None
    assert (told.tags["verdict"], told.tags["accuracy"]) == ("promoted", f"{100 * share:.1f} %")
    assert re.match(rf"{100 * share:.1f} % \(\d+\.\d to \d+\.\d\), promoted\n", told.description)
    assert registry.client.get_registered_model(registry.name).aliases == {"champion": 1}
    assert "**Version 1 is the new champion.** It is the first one." in told.description
    assert [file.path for file in registry.client.list_artifacts(version.run_id)].count("decision.md") == 1


@pytest.fixture
def champion(register: Callable, decide: Callable) -> RegisteredVersion:
    """A champion that knows 15 of 20 words and is right on seven tweets of eight."""
    version: RegisteredVersion = register(15)
    assert decide(version).is_champion
    return version


def test_a_first_model_below_the_floor_leaves_the_home_without_a_champion(
    world: Home, registry: Registry, register: Callable, decide: Callable, rows_of: Callable
) -> None:
    decision = decide(register(0))
    assert failed(decision) == ["floor"]
    assert champion_of(registry) is None
    assert rows_of(world, ALIASES) == []


def test_a_better_challenger_replaces_the_champion(
    world: Home,
    registry: Registry,
    champion: RegisteredVersion,
    register: Callable,
    decide: Callable,
    rows_of: Callable,
) -> None:
    decision = decide(register(20))
    assert (decision.is_champion, decision.champion_version) == (True, 1)
    assert champion_of(registry) == 2
    assert rows_of(world, ALIASES) == [(1, None, "gate"), (2, 1, "gate")]
    better = by_name(decision)["better"]
    assert better.challenger_value == 1.0
    assert better.champion_value is not None
    assert 0.8 < better.champion_value < 0.95


@pytest.mark.parametrize(("count_known", "reason"), [(10, "The challenger is worse"), (15, "a tie keeps the champion")])
def test_a_challenger_that_is_not_better_is_refused_and_nothing_moves(
    world: Home,
    registry: Registry,
    champion: RegisteredVersion,
    register: Callable,
    decide: Callable,
    rows_of: Callable,
    count_known: int,
    reason: str,
) -> None:
    decision = decide(register(count_known))
    assert (decision.is_champion, failed(decision)) == (False, ["better"])
    assert reason in by_name(decision)["better"].reason
    assert champion_of(registry) == 1
    assert rows_of(world, ALIASES) == [(1, None, "gate")]
    assert rows_of(world, "select reason from decisions where check_name = 'better'") == [
        (by_name(decision)["better"].reason,)
    ]
    told = registry.client.get_model_version(registry.name, "2")
    assert (told.tags["verdict"], told.tags["failed_checks"]) == ("refused", "better")
    assert "**Version 2 was refused by: better.** Version 1 stays champion." in told.description
    assert registry.client.get_registered_model(registry.name).aliases == {"champion": 1, "challenger": 2}


@pytest.mark.parametrize("leak", ["id", "text", "gold"])
def test_a_better_challenger_that_was_fed_an_evaluation_row_is_refused(
    registry: Registry,
    frozen: Export,
    champion: RegisteredVersion,
    register: Callable,
    decide: Callable,
    leak: str,
) -> None:
    train = pl.read_parquet(frozen.train, columns=["tweet_id", "text_key"])
    holdout, gold = pl.read_parquet(frozen.holdout), pl.read_parquet(frozen.gold)
    planted = {
        "id": (holdout["tweet_id"][0], 1),
        "text": (-1, holdout["text_key"][0]),
        "gold": (-1, gold["text_key"][0]),
    }[leak]
    fed = pl.concat([train, pl.DataFrame([planted], schema=train.schema, orient="row")])
    decision = decide(register(20, fed=fed))
    assert failed(decision) == ["no_leak"]
    assert by_name(decision)["no_leak"].challenger_value == 1
    assert champion_of(registry) == 1


def test_a_missing_list_of_fed_rows_fails_closed(
    world: Home, registry: Registry, champion: RegisteredVersion, register: Callable, decide: Callable
) -> None:
    version = register(20)
    (world.mlflow / "artifacts" / version.run_id / "artifacts" / "fed_rows.parquet").unlink()
    assert failed(decide(version)) == ["no_leak"]
    assert champion_of(registry) == 1


def test_rows_that_the_champion_was_fed_leave_the_comparison_and_are_counted(
    frozen: Export, register: Callable, registry: Registry, decide: Callable
) -> None:
    train = pl.read_parquet(frozen.train, columns=["tweet_id", "text_key"])
    holdout = pl.read_parquet(frozen.holdout, columns=["tweet_id", "text_key"])
    cheat = register(15, fed=pl.concat([train, holdout.head(17)]))
    registry.set_champion(cheat.model_version)
    reason = by_name(decide(register(20)))["better"].reason
    assert f"on the same {len(holdout) - 17} rows" in reason
    assert "17 rows the champion was fed are left out" in reason


def test_hand_labelled_tweets_that_the_champion_was_fed_before_they_were_loaded_are_left_out(
    world: Home, frozen: Export, register: Callable, registry: Registry, decide: Callable
) -> None:
    gold = pl.read_parquet(frozen.gold).select("text_key", tweet_id=pl.lit(None, dtype=pl.Int64))
    train = pl.read_parquet(frozen.train, columns=["tweet_id", "text_key"])
    registry.set_champion(register(15, fed=pl.concat([train, gold.head(6)], how="diagonal")).model_version)
    reason = by_name(decide(register(20)))["gold"].reason
    assert f"on {len(gold) - 6} rows" in reason
    assert "6 rows the champion was fed before they were loaded are left out" in reason


def test_a_champion_without_its_list_of_fed_rows_is_compared_on_all_and_that_is_said(
    world: Home, registry: Registry, champion: RegisteredVersion, register: Callable, decide: Callable
) -> None:
    (world.mlflow / "artifacts" / champion.run_id / "artifacts" / "fed_rows.parquet").unlink()
    decision = decide(register(20))
    assert decision.is_champion
    assert (
        "list of fed rows, fed_rows.parquet, is missing or damaged, so none could be left out"
        in by_name(decision)["better"].reason
    )


def test_truncated_weights_are_refused(
    world: Home, registry: Registry, champion: RegisteredVersion, register: Callable, decide: Callable
) -> None:
    before = set(world.mlflow.rglob("weights.safetensors"))
    version = register(20)
    (weights,) = set(world.mlflow.rglob("weights.safetensors")) - before
    weights.write_bytes(weights.read_bytes()[:-1000])
    decision = decide(version)
    assert failed(decision) == ["loads", "floor", "behaviour", "speed"]
    assert "are damaged: they are not those that were registered" in by_name(decision)["loads"].reason
    assert champion_of(registry) == 1


def test_a_version_that_only_its_own_process_can_load_is_refused(
    world: Home, registry: Registry, register: Callable, decide_in_fresh_process: Callable
) -> None:
    version = register(20)
    (code,) = world.mlflow.rglob("sentiment_model/hashing.py")
    code.unlink()
    decision = decide_in_fresh_process(version)
    assert failed(decision) == ["loads"]
    assert "sentiment_model" in by_name(decision)["loads"].reason
    assert champion_of(registry) is None


def test_a_copy_that_answers_otherwise_is_refused(
    register: Callable, decide: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = evidence.predict_in_fresh_process
    monkeypatch.setattr(evidence, "predict_in_fresh_process", lambda *args: predict(*args) + 2e-5)
    decision = decide(register(20))
    assert failed(decision) == ["loads"]
    assert by_name(decision)["loads"].challenger_value == pytest.approx(2e-5, rel=0.1)


def test_a_champion_that_cannot_be_loaded_gives_way_to_one_that_passes(
    world: Home, registry: Registry, champion: RegisteredVersion, register: Callable, decide: Callable
) -> None:
    (weights,) = world.mlflow.rglob("weights.safetensors")
    weights.unlink()
    decision = decide(register(10))
    assert decision.is_champion
    assert by_name(decision)["better"].reason.startswith(
        "The champion cannot be loaded any more and so scores nothing: "
    )
    assert champion_of(registry) == 2


def test_an_alias_that_was_moved_in_mlflow_is_noticed(
    world: Home,
    registry: Registry,
    champion: RegisteredVersion,
    register: Callable,
    decide: Callable,
    rows_of: Callable,
) -> None:
    assert not decide(register(10)).is_champion
    registry.set_champion(2)
    assert decide(register(20)).champion_version == 2
    assert rows_of(world, ALIASES) == [(1, None, "gate"), (2, 1, history.MLFLOW), (3, 2, "gate")]


def test_a_repeated_decision_writes_nothing_anew(
    world: Home, champion: RegisteredVersion, register: Callable, decide: Callable, rows_of: Callable
) -> None:
    worse, better = register(10), register(20)
    decisions = [decide(worse), decide(better)]
    before = rows_of(world, DECISIONS), rows_of(world, ALIASES)
    again = decide(better)
    assert again.is_champion
    assert again.verdict == decisions[1].verdict
    assert (rows_of(world, DECISIONS), rows_of(world, ALIASES)) == before


def test_a_refused_challenger_keeps_its_verdict_when_it_is_judged_again(
    world: Home, champion: RegisteredVersion, register: Callable, decide: Callable, rows_of: Callable
) -> None:
    worse = register(10)
    first = decide(worse)
    before = rows_of(world, DECISIONS)
    again = decide(worse)
    assert (first.outcome, again.outcome) == (Outcome.REFUSED, Outcome.REFUSED_BEFORE)
    assert again == replace(first, outcome=Outcome.REFUSED_BEFORE)
    assert rows_of(world, DECISIONS) == before


def test_what_earlier_rules_refused_is_judged_again(
    world: Home, champion: RegisteredVersion, register: Callable, decide: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse = register(10)
    decide(worse)
    monkeypatch.setattr(gate, "RULES", gate.RULES + 1)
    again = decide(worse)
    assert again.outcome is Outcome.REFUSED
    assert "look 2 at the hold-out" in by_name(again)["better"].reason


def test_a_probability_that_is_no_number_in_a_fresh_process_is_refused(
    register: Callable, decide: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = evidence.predict_in_fresh_process

    def one_is_nan(*arguments: Any) -> pl.Series:
        found = answers(*arguments)
        assert isinstance(found, pl.Series)
        return pl.concat([pl.Series(found.name, [math.nan], dtype=found.dtype), found[1:]])

    monkeypatch.setattr(evidence, "predict_in_fresh_process", one_is_nan)
    assert failed(decide(register(20))) == ["loads"]


def test_further_looks_at_the_same_holdout_are_paid_for(
    champion: RegisteredVersion, register: Callable, decide: Callable
) -> None:
    reasons = [by_name(decide(register(count)))["better"].reason for count in (3, 4)]
    assert "96.67 % interval" in reasons[0]
    assert "look 1 at the hold-out" in reasons[0]
    assert "99.87 % interval" in reasons[1]
    assert "look 2 at the hold-out" in reasons[1]


def test_moved_thresholds_make_another_decision(
    world: Home, registry: Registry, register: Callable, decide: Callable, rows_of: Callable
) -> None:
    version = register(10)
    strict = SETTINGS.model_copy(
        update={"gate": GateThresholds(floor_accuracy=0.9, floor_calibration_error=0.25, behaviour_rate=0)}
    )
    assert failed(decide(version, strict)) == ["floor"]
    assert decide(version).is_champion
    assert rows_of(world, "select count(distinct decision_key) from decisions") == [(2,)]


@pytest.mark.parametrize("killed_at", ["the verdict", "the alias", "the history"])
def test_a_run_that_was_killed_on_its_way_is_finished_by_the_next(
    world: Home,
    registry: Registry,
    champion: RegisteredVersion,
    register: Callable,
    decide: Callable,
    rows_of: Callable,
    killed_at: str,
) -> None:
    better = register(20)

    def kill(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    target: tuple[Any, str] = {
        "the verdict": (gate, "record_decision"),
        "the alias": (registry, "set_champion"),
        "the history": (history, "record_champion"),
    }[killed_at]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*target, kill)
        with pytest.raises(KeyboardInterrupt):
            decide(better)
    assert champion_of(registry) == (2 if killed_at == "the history" else 1)
    assert decide(better).is_champion
    assert champion_of(registry) == 2
    assert rows_of(world, ALIASES) == [(1, None, "gate"), (2, 1, "gate")]
    counts = "select model_version, count(*), count(distinct decision_key) from decisions group by 1 order by 1"
    assert rows_of(world, counts) == [(1, 5, 1), (2, 9, 1)]
