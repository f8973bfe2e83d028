"""A user's own model goes all the way: command, kill, gate, scores, API, explanation, rollback, and a home that is moved."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from flows.retrain import RetrainOptions, retrain
from sentiment.api.app import create_app
from sentiment.sample import write_sample
from sentiment.settings import Home, load_settings
from sentiment.training import fit
from sentiment.warehouse.query import query
from tests.api.conftest import listening, wait_until

pytestmark = pytest.mark.slow
NAME = "my_package.my_module:build"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "own-model.md").read_text()
EXAMPLE = re.findall(r"^```python\n(.*?)^```", DOCUMENT, flags=re.MULTILINE | re.DOTALL)[0]


def command(*arguments: str) -> Any:
    """What a command prints as JSON."""
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, f"{result.exception!r} {result.output}"
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def ingested(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of 3,000 tweets with a champion, and next to it the example of the docs as `my_package`."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_package").mkdir()
    (folder / "my_package" / "my_module.py").write_text(EXAMPLE)
    write_sample(folder / "history.csv", 3_000, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        _set_up(patch, folder / "home")
        command("run", str(folder / "history.csv"), "--rows", "300")
    return folder


def _set_up(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setenv("SENTIMENT_HOME", str(home))
    patch.setenv("SENTIMENT_GATE__FLOOR_ACCURACY", "0.5")
    patch.setenv("SENTIMENT_GATE__FLOOR_CALIBRATION_ERROR", "1")
    patch.chdir(home.parent)


@pytest.fixture
def own(ingested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it for each test."""
    shutil.copytree(ingested, tmp_path / "own")
    _set_up(monkeypatch, tmp_path / "own" / "home")
    return tmp_path / "own"


def shown() -> list[tuple[Any, ...]]:
    return query(Home(load_settings().home), "select distinct model_version from scored_tweets").rows()


def test_from_the_command_through_a_kill_to_scores_and_back(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retrained = ("retrain", "--rows", "600", "--model", NAME, "--model-rows", "600", "--effort", "2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "GROUP_ROWS", 100)
        patch.setattr(fit, "SECONDS_BETWEEN_CHECKPOINTS", 0)
        write, written = fit.write_checkpoint, []

        def write_and_die(*arguments: Any) -> None:
            write(*arguments)
            written.append(arguments[1].progress["step"])
            if len(written) == 4:
                raise RuntimeError("killed")

        patch.setattr(fit, "write_checkpoint", write_and_die)
        assert CliRunner().invoke(app, [*retrained]).exit_code != 0
        assert len(list((own / "home" / "checkpoints").glob("*/checkpoint.safetensors"))) == 1
        steps: list[int] = []
        patch.setattr(fit, "write_checkpoint", lambda *arguments: steps.append(arguments[1].progress["step"]))
        decision = command(*retrained)
    assert steps[0] == written[-1] + 1
    assert not list((own / "home" / "checkpoints").iterdir())
    version = decision["model_version"]
    checks = {check["check_name"]: check for check in decision["verdict"]["checks"]}
    assert checks["loads"]["passed"], checks["loads"]["reason"]  # in a process of its own, by MLflow
    assert checks["speed"]["passed"]
    assert checks["no_leak"]["passed"]
    if not decision["is_champion"]:
        command("promote", str(version), "--reason", "to see it score")
    command("score")
    assert shown() == [(version,)]

    text = "lovely weather, what a great day"
    explained = command("explain", text)
    assert explained["model_version"] == version
    assert any(word["encoder"] for word in explained["words"])
    with listening(create_app(Home(load_settings().home, load_settings()))) as client:
        wait_until(lambda: client.get("/ready").status_code == 200)
        (answer,) = client.post("/predict", json={"texts": [text]}).json()["predictions"]
    assert answer["probability_positive"] == pytest.approx(explained["probability_positive"], abs=1e-6)

    monkeypatch.setenv("SENTIMENT_MODEL", NAME)
    monkeypatch.setenv("SENTIMENT_MODEL_ROWS", "600")
    assert command("retrain", "--rows", "600", "--effort", "2")["trained"]["was_reused"]
    command("rollback", "--reason", "enough seen")
    assert shown() == [(1,)]

    moved = own.rename(own.with_name("elsewhere"))
    shutil.rmtree(moved / "my_package")
    monkeypatch.chdir(moved)
    monkeypatch.setenv("SENTIMENT_HOME", str(moved / "home"))
    again = command("explain", text, "--model-version", str(version))
    assert again["probability_positive"] == pytest.approx(explained["probability_positive"], abs=1e-6)


def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(own: Path) -> None:
    for options, words in [
        (["--model", "my_package.my_module:nothing"], "has no 'nothing'; found"),
        (["--model", "elsewhere:build"], "no module 'elsewhere'"),
        (["--model-rows", "200"], "named none"),
    ]:
        result = CliRunner().invoke(app, ["retrain", "--rows", "300", *options])
        assert result.exit_code != 0
        assert words in str(result.exception)
    assert query(Home(own / "home"), "select count(*) from model_versions").rows() == [(1,)]
    assert not list((own / "home" / "checkpoints").glob("*/*"))


def test_a_model_that_is_too_slow_for_the_gate_is_refused_before_it_trains(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = EXAMPLE.replace("        device =", "        import time; time.sleep(0.002 * len(texts))\n        device =")
    (own / "my_package" / "my_module.py").write_text(slow)
    monkeypatch.setenv("SENTIMENT_GATE__RESCORING_SECONDS", "1")
    result = CliRunner().invoke(app, ["retrain", "--rows", "300", "--model", NAME])
    assert "the gate's check `speed` allows 1 s" in str(result.exception)
    assert "Nothing was trained" in str(result.exception)
    assert query(Home(own / "home"), "select count(*) from model_versions").rows() == [(1,)]


def test_a_hugging_face_model_is_fine_tuned_registered_and_loaded(own: Path, write_bert: Callable[..., Path]) -> None:
    decision = retrain(RetrainOptions(rows=300, model=f"hf:{write_bert(own / 'tiny')}")).decision
    (loads,) = [check for check in decision.verdict.checks if check.check_name == "loads"]
    assert loads.passed, loads.reason
    assert decision.model_version == 2
