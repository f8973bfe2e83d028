"""The champion changed by hand: alias, history and what readers see move together, and the gate respects it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sentiment.errors import InputError, ModelError, NoChampionError
from sentiment.gate import decide as gate
from sentiment.gate.decision import Outcome
from sentiment.registry import champion
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.scoring.score import score
from sentiment.settings import GateThresholds, Home, Settings
from sentiment.training.subsets import Export

HISTORY = "select model_version, from_version, change, changed_by, reason from alias_history order by changed_at"
SHOWN = "select count(*), min(model_version), max(model_version) from scored_tweets"
BY = {"changed_by": "ann", "reason": "because"}


@pytest.fixture
def two_champions(world: Home, registry: Registry, register: Callable[..., RegisteredVersion]) -> tuple[int, int]:
    """Version 1 was champion, version 2 is; both have scored every tweet."""
    for known in (10, 15):
        version = register(known).model_version
        champion.promote(world, registry, version, **BY)
        assert score(world, registry, run_id="test").is_published
    return 1, 2


def test_a_rollback_shows_the_former_predictions_at_once_and_scores_nothing(
    world: Home, registry: Registry, two_champions: tuple[int, int], rows_of: Callable
) -> None:
    former, latter = two_champions
    predictions = rows_of(world, "select count(*), max(scored_at) from predictions")
    made = champion.rollback(world, registry, changed_by="ann", reason="sarcasm")
    assert (made.model_version, made.from_version, made.is_published) == (former, latter, True)
    found = registry.champion()
    assert found is not None
    assert found.model_version == former
    assert rows_of(world, SHOWN) == [(2400, former, former)]
    assert rows_of(world, "select count(*), max(scored_at) from predictions") == predictions
    assert rows_of(world, HISTORY)[-1] == (former, latter, "rollback", "ann", "sarcasm")


@pytest.mark.parametrize("change", ["rollback", "promotion"])
def test_a_change_that_was_interrupted_is_finished_and_not_made_twice(
    world: Home, registry: Registry, two_champions: tuple[int, int], rows_of: Callable, change: str
) -> None:
    def do() -> champion.ChampionChange:
        if change == "rollback":
            return champion.rollback(world, registry, **BY)
        return champion.promote(world, registry, 1, **BY)

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(champion.history, "record_champion", fail)
        with pytest.raises(KeyboardInterrupt):
            do()
    assert rows_of(world, SHOWN) == [(2400, 2, 2)]
    assert do() == champion.ChampionChange(1, 2, is_published=True)
    assert rows_of(world, SHOWN) == [(2400, 1, 1)]
    assert rows_of(world, HISTORY)[-1] == (1, 2, change, "ann", "because")
    assert rows_of(world, "select count(*) from alias_history") == [(3,)]
    with pytest.raises(InputError, match=r"first champion|champion already"):
        do()


def test_going_back_from_the_first_champion_is_refused_in_a_sentence(
    world: Home, registry: Registry, two_champions: tuple[int, int], rows_of: Callable
) -> None:
    champion.rollback(world, registry, **BY)
    before = rows_of(world, HISTORY)
    with pytest.raises(InputError, match="Version 1 is the first champion, there is none before it"):
        champion.rollback(world, registry, **BY)
    assert rows_of(world, HISTORY) == before


def test_a_promoted_version_is_shown_only_when_it_has_scored_everything(
    world: Home,
    registry: Registry,
    two_champions: tuple[int, int],
    register: Callable,
    rows_of: Callable,
) -> None:
    version = register(20).model_version
    made = champion.promote(world, registry, version, **BY)
    assert registry.client.get_registered_model(registry.name).aliases == {"champion": version, "previous": 2}
    assert not made.is_published
    assert rows_of(world, SHOWN) == [(2400, 2, 2)]
    assert score(world, registry, run_id="test").is_published
    assert rows_of(world, SHOWN) == [(2400, version, version)]


def test_promoting_the_champion_or_a_version_that_does_not_exist_changes_nothing(
    world: Home, registry: Registry, two_champions: tuple[int, int], rows_of: Callable
) -> None:
    before = rows_of(world, HISTORY)
    with pytest.raises(InputError, match="Version 2 is the champion already"):
        champion.promote(world, registry, 2, **BY)
    with pytest.raises(ModelError, match=r"There is no version 9 of .*; found 1, 2"):
        champion.promote(world, registry, 9, **BY)
    assert rows_of(world, HISTORY) == before


def test_without_a_champion_there_is_nothing_to_go_back_from(world: Home, registry: Registry) -> None:
    with pytest.raises(NoChampionError, match="There is no champion to go back from"):
        champion.rollback(world, registry, **BY)


@pytest.mark.usefixtures("loaded_here")
class TestWithTheGate:
    @pytest.fixture
    def gated(self, world: Home, settings: Settings) -> Home:
        thresholds = GateThresholds(floor_calibration_error=0.25, behaviour_rate=0)
        return replace(world, settings=settings.model_copy(update={"gate": thresholds}))

    def test_a_version_that_people_went_back_from_is_not_promoted_again(
        self, world: Home, gated: Home, registry: Registry, frozen: Export, register: Callable, rows_of: Callable
    ) -> None:
        first, second = register(10), register(20)
        assert gate.decide_on(gated, registry, frozen, first).is_champion
        assert gate.decide_on(gated, registry, frozen, second).is_champion
        champion.rollback(gated, registry, changed_by="ann", reason="sarcasm")
        decision = gate.decide_on(gated, registry, frozen, second)
        assert [check.check_name for check in decision.verdict.failed] == ["rolled_back"]
        assert rows_of(world, HISTORY)[-1][:3] == (1, 2, "rollback")

    def test_with_approval_a_challenger_that_passed_waits_for_promote(
        self, world: Home, gated: Home, registry: Registry, frozen: Export, register: Callable, rows_of: Callable
    ) -> None:
        approved = replace(gated, settings=gated.settings.model_copy(update={"needs_approval": True}))
        version = register(20)
        decision = gate.decide_on(approved, registry, frozen, version)
        assert (decision.verdict.passed, decision.outcome) == (True, Outcome.AWAITS_APPROVAL)
        assert registry.champion() is None
        assert registry.client.get_model_version(registry.name, "1").tags["verdict"] == "awaits approval"
        champion.promote(approved, registry, 1, **BY)
        assert rows_of(world, HISTORY) == [(1, None, "promotion", "ann", "because")]

    def test_an_alias_that_moves_during_the_decision_makes_the_challenger_face_the_new_champion(
        self,
        world: Home,
        gated: Home,
        registry: Registry,
        frozen: Export,
        register: Callable,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        first, best, challenger = register(5), register(20), register(15)
        assert gate.decide_on(gated, registry, frozen, first).is_champion
        decide, moved = gate.decide, []

        def decide_while_somebody_promotes(*evidence: object) -> object:
            if not moved:
                moved.append(champion.promote(gated, registry, best.model_version, **BY))
            return decide(*evidence)  # type: ignore[arg-type]

        monkeypatch.setattr(gate, "decide", decide_while_somebody_promotes)
        decision = gate.decide_on(gated, registry, frozen, challenger)
        assert (decision.champion_version, decision.is_champion) == (best.model_version, False)
        found = registry.champion()
        assert found is not None
        assert found.model_version == best.model_version
