"""The operator's page names commands, options, settings and files that exist, and the rules that the code follows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml

from flows.cli.app import app
from flows.server import supervisor
from sentiment.maintenance import retention
from sentiment.settings import Settings
from sentiment.training import subsets

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operating.md").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
MENTIONED = re.findall(r"sentiment ([a-z]+)((?: --[a-z-]+)*)", PAGE.replace("systemctl enable --now sentiment", ""))


@pytest.mark.parametrize(("name", "options"), sorted(set(MENTIONED)))
def test_commands_and_options_exist(name: str, options: str) -> None:
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts + parameter.secondary_opts}
    assert set(options.split()) <= known


@pytest.mark.parametrize("name", ["status", "doctor", "housekeeping", "backup", "restore", "forget", "rollback", "up"])
def test_every_command_of_the_operator_is_on_the_page(name: str) -> None:
    assert name in {mentioned for mentioned, _ in MENTIONED}


def test_settings_and_files_exist() -> None:
    for name in re.findall(r"SENTIMENT_([A-Z_]+)", PAGE):
        assert name.lower() in Settings.model_fields
    for path in re.findall(r"`((?:deployments|docs)/[\w./-]+)`", PAGE):
        assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "rule",
    [
        f"of any that scored within {retention.DAYS_OF_PREDICTIONS} days",
        f"the newest {retention.NEWEST_VERSIONS}; others {retention.DAYS_OF_REFUSED_VERSIONS} days",
        f"MLflow runs that were killed or failed | {retention.DAYS_OF_DEAD_RUNS} days",
        f"reports, error reports | {retention.DAYS_OF_REPORTS} days",
        f"checkpoints of killed trainings | {retention.DAYS_OF_CHECKPOINTS} days",
        f"work files of killed runs | {retention.DAYS_OF_WORK_FILES} day",
        f"exports of training data | the newest {subsets.KEEP_EXPORTS}",
        f"Prefect's runs, logs and artifacts | {supervisor.DAYS_OF_RUNS} days",
        f"when a quarter of it, and {retention.FREE_BYTES >> 20} MiB, are free",
    ],
)
def test_a_rule_is_what_the_code_does(rule: str) -> None:
    assert retention.FREE_SHARE == 0.25
    assert rule in PAGE


def test_the_time_after_which_a_silent_run_is_ended_is_that_of_the_automation() -> None:
    automations = yaml.safe_load((ROOT / "deployments" / "automations.yaml").read_text())["automations"]
    (within,) = [row["trigger"]["within"] for row in automations if row["name"] == "end runs whose process died"]
    assert f"after {within} seconds without a heartbeat" in PAGE


def test_the_unit_starts_a_command_that_exists() -> None:
    unit = (ROOT / "deployments" / "sentiment.service").read_text()
    (command,) = re.findall(r"^ExecStart=\S+/\.venv/bin/sentiment (\w+)$", unit, flags=re.MULTILINE)
    assert command in COMMANDS
