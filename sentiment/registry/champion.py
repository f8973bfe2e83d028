"""Who is champion: moving the alias, by the gate or by hand, so that MLflow, `alias_history` and readers agree.

A change takes three steps: note it, move the alias in MLflow, and add a row to `alias_history`, which also switches readers
over if the version has scored every tweet. The alias is the truth and the others follow it, so the next run completes a change
that was killed in between. A rollback scores nothing: the former champion's predictions are kept.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from sentiment.errors import InputError, ModelError, NoChampionError
from sentiment.registry import history
from sentiment.registry.client import Registry
from sentiment.registry.history import Change
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import Home
from sentiment.warehouse.connection import translated_errors, writer
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.scored_ranges import count_unscored
from sentiment.warehouse.session import Warehouse


@dataclass(frozen=True)
class ChampionChange:
    """A change of champion, and whether readers see it already."""

    model_version: int
    from_version: int | None
    is_published: bool


def move_champion(home: Home, registry: Registry, change: Change) -> ChampionChange:
    """Point the alias to a version, record that, and show its predictions if they are complete.

    The caller holds `champion_lock`.
    """
    before = registry.champion()
    if before is None or before.model_version != change.model_version:
        with writer(home) as warehouse:
            history.intend(warehouse, change)
        with translated_errors(home):
            registry.set_champion(change.model_version)
    return _finish(home, change, before.model_version if before else None)


def _finish(home: Home, change: Change, before: int | None) -> ChampionChange:
    with writer(home) as warehouse, warehouse.transaction():
        history.record_champion(warehouse, change)
        is_published = publish_if_complete(warehouse, change.model_version)
    return ChampionChange(change.model_version, before, is_published)


def _finish_interrupted(home: Home, champion: RegisteredVersion | None, kind: str) -> ChampionChange | None:
    """Finish a promotion or rollback that moved the alias and was interrupted before it was recorded."""
    if champion is None:
        return None
    with writer(home) as warehouse:
        change, before = history.intended(warehouse), history.recorded_champion(warehouse)
    if change is None or (change.change, change.model_version) != (kind, champion.model_version):
        return None
    return _finish(home, change, before)


def known_champion(registry: Registry, warehouse: Warehouse) -> RegisteredVersion | None:
    """The champion; None if this home has never had one.

    Raises:
        ModelError: `alias_history` names a champion and MLflow has none: somebody deleted the alias or the version there.
            So the next model is not the first, yet there is nothing to compare it with.
    """
    champion = registry.champion()
    recorded = history.recorded_champion(warehouse)
    if champion is not None or recorded is None:
        return champion
    numbers = registry.numbers()
    is_there = recorded in numbers
    what = "its alias was deleted in MLflow" if is_there else "it was deleted in MLflow"
    former = warehouse.frame("steps/registry/select_history")["model_version"].to_list()
    choice = recorded if is_there else next((number for number in former if number in numbers), None)
    restore = "Restore a backup: SENTIMENT_HOME=NEW_FOLDER sentiment restore BACKUP"
    if choice is not None:
        remedy = f'Make version {choice} champion: sentiment promote {choice} --reason "{what}"'
    elif numbers:
        remedy = (
            f"None of the versions that are left ({', '.join(map(str, numbers))}) has been champion. {restore}; or read "
            "what the gate said of one with `sentiment decisions --model-version VERSION`, and make it champion with "
            "`sentiment promote VERSION --reason WHY`."
        )
    else:
        remedy = f"No version is left. {restore}"
    raise ModelError(f"Version {recorded} is the champion according to alias_history, but {what}. {remedy}")


def champion_lock(home: Home) -> AbstractContextManager[None]:
    """Take it before reading the champion and release it after moving the alias, so that no change in between is lost."""
    return operation_lock(home, "champion")


def promote(home: Home, registry: Registry, model_version: int, *, changed_by: str, reason: str) -> ChampionChange:
    """Make a version champion by hand, even one that the gate refused.

    Raises:
        ModelError: there is no such version.
        InputError: it is the champion.
    """
    with champion_lock(home):
        registry.version(model_version)
        champion = registry.champion()
        if champion is not None and champion.model_version == model_version:
            if finished := _finish_interrupted(home, champion, history.PROMOTION):
                return finished
            raise InputError(f"Version {model_version} is the champion already; nothing was changed.")
        _reconcile(home, registry)
        return move_champion(home, registry, Change(model_version, history.PROMOTION, changed_by, reason))


def rollback(home: Home, registry: Registry, *, changed_by: str, reason: str) -> ChampionChange:
    """Go back to the previous champion; called again, to the one before that. One that was interrupted is finished.

    Raises:
        NoChampionError: there is no champion.
        InputError: the champion is the first one, or housekeeping has deleted the predictions of the one before.
    """
    with champion_lock(home):
        if finished := _finish_interrupted(home, registry.champion(), history.ROLLBACK):
            return finished
        _reconcile(home, registry)
        with writer(home) as warehouse:
            champion = known_champion(registry, warehouse)
            if champion is None:
                raise NoChampionError("There is no champion to go back from. Train one: sentiment retrain")
            former = warehouse.value("steps/registry/select_former_champion", model_version=champion.model_version)
            is_pruned = warehouse.value("steps/registry/select_rollback_needs", model_version=former)
        if former is None:
            raise InputError(
                f"Version {champion.model_version} is the first champion, there is none before it. "
                "Choose another version with: sentiment promote VERSION --reason WHY"
            )
        if is_pruned:
            raise InputError(
                f"The predictions of version {former} are no longer kept, so readers could not be shown them. Make them "
                f"first: sentiment score --model-version {former}; then roll back again. Nothing was changed."
            )
        return move_champion(home, registry, Change(former, history.ROLLBACK, changed_by, reason))


def publish_if_complete(warehouse: Warehouse, model_version: int) -> bool:
    """Let readers see a version's predictions if every tweet has one; within the caller's transaction."""
    is_complete = count_unscored(warehouse, model_version) == 0
    if is_complete:
        warehouse.run("steps/registry/flip_published_model", model_version=model_version)
    return is_complete


def _reconcile(home: Home, registry: Registry) -> None:
    champion = registry.champion()
    with writer(home) as warehouse:
        history.reconcile_champion(warehouse, champion.model_version if champion else None)
