"""A registry in which people deleted things in MLflow's pages: nothing is taken for the first model, nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sentiment.errors import ModelError, NoChampionError
from sentiment.gate.decide import decide_on
from sentiment.maintenance.retention import keep_house
from sentiment.registry import champion
from sentiment.registry.client import EXPERIMENT, Registry
from sentiment.registry.names import CHAMPION
from sentiment.registry.store import purge_runs
from sentiment.scoring.score import Selection, score
from sentiment.settings import GateThresholds, Home, Settings
from sentiment.training.subsets import Export

EASY = Settings(writer_wait_seconds=5, gate=GateThresholds(floor_calibration_error=0.25, behaviour_rate=0))
ALIASES = "select model_version, change from alias_history order by changed_at"


@pytest.fixture
def two_champions(world: Home, registry: Registry, frozen: Export, register: Callable) -> Home:
    """A home in which version 1 was champion and version 2 is."""
    home = replace(world, settings=EASY)
    for count in (10, 20):
        champion.promote(home, registry, register(count).model_version, changed_by="ann", reason="first of all")
    return home


def delete_alias(registry: Registry) -> None:
    registry.client.delete_registered_model_alias(registry.name, CHAMPION)


def delete_version(registry: Registry) -> None:
    registry.client.delete_model_version(registry.name, "2")


def delete_model(registry: Registry) -> None:
    registry.client.delete_registered_model(registry.name)


DELETIONS = [
    pytest.param(delete_alias, "promote 2 --reason", id="alias"),
    pytest.param(delete_version, "promote 1 --reason", id="version"),
    pytest.param(delete_model, "sentiment restore", id="registered model"),
]


@pytest.mark.usefixtures("loaded_here")
@pytest.mark.parametrize(("delete", "remedy"), DELETIONS)
def test_a_challenger_is_not_the_first_model_because_the_champion_was_deleted(
    two_champions: Home,
    registry: Registry,
    frozen: Export,
    register: Callable,
    rows_of: Callable,
    delete: Callable[[Registry], None],
    remedy: str,
) -> None:
    challenger = register(5)
    delete(registry)
    before = rows_of(two_champions, ALIASES)
    with pytest.raises(ModelError, match=r"Version 2 is the champion according to alias_history.*" + remedy):
        decide_on(two_champions, registry, frozen, challenger)
    assert registry.champion() is None
    assert rows_of(two_champions, ALIASES) == before
    assert rows_of(two_champions, "select count(*) from decisions") == [(0,)]


@pytest.mark.parametrize(("delete", "remedy"), DELETIONS)
def test_scoring_and_rollback_say_what_to_do(
    two_champions: Home, registry: Registry, delete: Callable[[Registry], None], remedy: str
) -> None:
    delete(registry)
    with pytest.raises(ModelError, match=remedy):
        score(two_champions, registry, run_id="run")
    with pytest.raises(ModelError, match=remedy):
        champion.rollback(two_champions, registry, changed_by="ann", reason="because")


def test_a_version_that_was_never_champion_is_not_proposed(
    two_champions: Home, registry: Registry, register: Callable
) -> None:
    refused = register(5).model_version
    for number in ("1", "2"):
        registry.client.delete_model_version(registry.name, number)
    with pytest.raises(ModelError, match=rf"versions that are left \({refused}\).*sentiment restore") as raised:
        score(two_champions, registry, run_id="run")
    assert f"promote {refused}" not in str(raised.value)


def test_a_home_that_never_had_a_champion_is_told_to_train_one(world: Home, registry: Registry) -> None:
    with pytest.raises(NoChampionError, match="sentiment retrain"):
        score(world, registry, run_id="run")


def test_promote_puts_a_deleted_alias_back(two_champions: Home, registry: Registry, rows_of: Callable) -> None:
    before = rows_of(two_champions, ALIASES)
    delete_alias(registry)
    champion.promote(two_champions, registry, 2, changed_by="ann", reason="the alias was deleted")
    found = registry.champion()
    assert found is not None
    assert found.model_version == 2
    assert rows_of(two_champions, ALIASES) == before


def test_housekeeping_keeps_the_predictions_of_a_champion_whose_alias_was_deleted(
    two_champions: Home, registry: Registry, rows_of: Callable
) -> None:
    score(two_champions, registry, run_id="run", selection=Selection(model_version=2))
    count = rows_of(two_champions, "select count(*) from predictions where model_version = 2")
    delete_alias(registry)
    keep_house(two_champions, registry)
    assert rows_of(two_champions, "select count(*) from predictions where model_version = 2") == count


def test_housekeeping_keeps_the_files_of_a_registered_version_whose_run_was_deleted(
    two_champions: Home, registry: Registry
) -> None:
    version = registry.version(2)
    registry.client.delete_run(version.run_id)
    keep_house(two_champions, registry)
    registry.client.restore_run(version.run_id)
    assert registry.fed_rows(version) is not None
    assert registry.load(2) is not None


@pytest.mark.parametrize("step", ["delete_logged_model", "delete_run", "delete_model_version"])
def test_a_removal_that_is_interrupted_leaves_nothing_behind(
    two_champions: Home, registry: Registry, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, long_ago = registry.version(1), datetime(2020, 1, 1, tzinfo=UTC)
    work = getattr(registry.client, step)

    def end(*arguments: str) -> None:
        work(*arguments)
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(registry.client, step, end)
        with pytest.raises(InterruptedError):
            registry.remove([1], dead_before=long_ago)
    registry.remove([1], dead_before=long_ago)
    artifacts = two_champions.mlflow / "artifacts"
    assert registry.numbers() == [2]
    assert len(list(artifacts.rglob("*.safetensors"))) == 1
    assert not (artifacts / version.run_id / "artifacts").exists()
    assert registry.load(2) is not None


def test_a_version_whose_run_is_gone_is_removed(two_champions: Home, registry: Registry) -> None:
    registry.client.delete_run(registry.version(1).run_id)
    purge_runs(registry.home, [registry.version(1).run_id])
    assert registry.remove([1], dead_before=datetime(2020, 1, 1, tzinfo=UTC)) == ([1], 0)
    assert registry.numbers() == [2]


def test_a_deleted_experiment_is_named_with_the_command_that_restores_it(
    two_champions: Home, registry: Registry, register: Callable
) -> None:
    registry.client.delete_experiment(registry.experiment_id)
    reopened = Registry(two_champions)
    with (
        pytest.raises(ModelError, match=f"experiment `{EXPERIMENT}` was deleted") as raised,
        reopened.training_run("k", "r"),
    ):
        pass
    arguments = str(raised.value).partition(f"{sys.executable} ")[2].split()
    subprocess.run(
        [sys.executable, *arguments], env={"MLFLOW_TRACKING_URI": registry.uri}, check=True, capture_output=True
    )
    with reopened.training_run("k", "r"):
        pass
    assert register(7).model_version == 3
