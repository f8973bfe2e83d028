"""What README and docs say is what there is: commands, settings, deployments, tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml

from flows.cli.app import app
from sentiment.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_readme_and_its_help_has_an_example(name: str) -> None:
    assert re.search(rf"(sentiment|make) {name}\b", README)
    assert f"Example: sentiment {name}" in (COMMANDS[name].help or "")


def test_every_command_that_the_readme_shows_exists() -> None:
    shown = set(re.findall(r"^(?:\$ )?sentiment ([a-z]+)", README, flags=re.MULTILINE))
    assert shown
    assert shown <= set(COMMANDS)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_in_the_readme_and_described(name: str) -> None:
    assert f"SENTIMENT_{name.upper()}" in README
    assert Settings.model_fields[name].description


def test_every_deployment_is_described_and_scheduled_with_a_time_zone() -> None:
    deployments = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    assert {deployment["name"] for deployment in deployments} >= {"ingest", "retrain", "score", "pipeline"}
    for deployment in deployments:
        assert len(deployment["description"]) > 50
        assert all("timezone" in schedule for schedule in deployment.get("schedules", []))


def test_the_reference_of_tables_is_what_the_database_says_of_itself() -> None:
    from docs.generate import TARGET, tables_markdown

    assert TARGET.read_text() == tables_markdown(), "run: python docs/generate.py"
