"""Two registries in one process answer for themselves: nothing of MLflow's process-wide state is used or changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import mlflow
import pytest

from sentiment.registry.client import Registry
from sentiment.settings import Home


@pytest.fixture(autouse=True)
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call to MLflow's own default store fails at once."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def test_the_first_registry_still_finds_its_files_after_a_second_was_opened(
    registry: Registry, register: Callable, new_home: Callable[[], Home]
) -> None:
    version = register(5)
    Registry(new_home())
    fed_rows, probe = registry.fed_rows(version), registry.reference_predictions(version)
    assert fed_rows is not None
    assert probe is not None
    assert fed_rows.is_relative_to(registry.home.root)
    assert registry.files(version.model_version).is_relative_to(registry.home.root)


def test_each_registry_trains_registers_and_moves_its_own_champion(
    registry: Registry, register: Callable, new_home: Callable[[], Home]
) -> None:
    other = Registry(new_home())
    registry.set_champion(register(5).model_version)
    with other.training_run("key", "elsewhere") as run_id:
        other.log(run_id, metrics={"accuracy": 0.5})
    assert other.champion() is None
    assert other.find("key 5") is None
    champion = registry.champion()
    assert champion is not None
    assert registry.metrics(champion).keys().isdisjoint({"accuracy"})


def test_opening_a_registry_changes_neither_the_environment_nor_mlflow(new_home: Callable[[], Home]) -> None:
    before, uri = dict(os.environ), mlflow.get_tracking_uri()
    Registry(new_home())
    Registry(new_home())
    assert dict(os.environ) == before
    assert mlflow.get_tracking_uri() == uri


def test_a_library_user_sends_no_telemetry_either(new_home: Callable[[], Home]) -> None:
    code = (
        "import sys; from pathlib import Path; from sentiment.settings import Home\n"
        "from sentiment.registry.client import Registry; Registry(Home(Path(sys.argv[1])))\n"
        "from mlflow.telemetry import get_telemetry_client; print(get_telemetry_client())"
    )
    silent = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST")
    environment = {name: value for name, value in os.environ.items() if name not in silent}
    command = [sys.executable, "-c", code, str(new_home().root)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.split() == ["None"]
