"""Alerts and schedules as they are put on a server: what is told, to whom, and in which time zone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.server.utilities.user_templates import render_user_template

from flows import events
from flows.events import CHAMPION_CHANGED, FILE_LANDED, ROWS_LOADED
from flows.server.deploy import (
    AUTOMATIONS,
    DEPLOYMENTS,
    PROJECT,
    WORK_POOL,
    find_block,
    local_time_zone,
    notification,
    put_automation,
)
from flows.server.deploy import remove_automation as remove
from sentiment.settings import Settings

DEFINITIONS = yaml.safe_load((PROJECT / AUTOMATIONS).read_text())
ALERTS: dict[str, dict[str, Any]] = {definition["name"]: definition for definition in DEFINITIONS["alerts"]}
RAISED = {value for name, value in vars(events).items() if name.isupper()} - {
    FILE_LANDED,
    ROWS_LOADED,
    CHAMPION_CHANGED,
}


def render(template: str, **context: Any) -> str:
    return asyncio.run(render_user_template(template, context))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_an_automation_that_sends_its_text_to_the_block(name: str) -> None:
    block = uuid4()
    (action,) = AutomationCore.model_validate(notification(ALERTS[name], block)).actions
    assert action.type == "send-notification"
    assert action.block_document_id == block
    assert (action.subject, action.body) == (ALERTS[name]["subject"], ALERTS[name]["body"])


def test_every_alert_that_flows_raise_is_told_with_its_sentence() -> None:
    alert = ALERTS["tell what flows found"]
    assert set(alert["trigger"]["expect"]) == RAISED
    event = SimpleNamespace(event=events.DRIFT_FOUND, payload={"sentence": "The words moved."})
    assert render(alert["subject"], event=event) == "sentiment: drift found"
    assert render(alert["body"], event=event) == "The words moved."


def test_a_failed_run_is_told_with_its_reason_and_what_to_do() -> None:
    alert = ALERTS["tell failed runs"]
    run = SimpleNamespace(
        name="ingest inbox", state=SimpleNamespace(name="Failed", message="letter.csv is no file of tweets.")
    )
    body = alert["body"].replace("{{ flow_run | ui_url }}", "")
    context = {"flow_run": run, "flow": SimpleNamespace(name="ingest")}
    assert render(alert["subject"], **context) == "sentiment: ingest failed"
    assert "ingest inbox: letter.csv is no file of tweets." in render(body, **context)
    assert "prefect deployment run 'ingest/ingest'" in render(body, **context)


def test_every_deployed_flow_is_watched_by_the_automations() -> None:
    names = {deployment["name"] for deployment in yaml.safe_load((PROJECT / DEPLOYMENTS).read_text())["deployments"]}
    watched = [*DEFINITIONS["automations"], ALERTS["tell failed runs"]]
    for definition in watched:
        if "match_related" in definition["trigger"]:
            assert set(definition["trigger"]["match_related"]["prefect.resource.name"]) == names, definition["name"]


def test_every_deployment_runs_in_the_work_pool() -> None:
    deployments = yaml.safe_load((PROJECT / DEPLOYMENTS).read_text())["deployments"]
    assert {deployment["work_pool"]["name"] for deployment in deployments} == {WORK_POOL}


def test_triggers_expect_what_flows_and_watcher_emit() -> None:
    deployments = yaml.safe_load((PROJECT / DEPLOYMENTS).read_text())["deployments"]
    expected = {name for entry in deployments for trigger in entry.get("triggers", []) for name in trigger["expect"]}
    assert expected == {FILE_LANDED, ROWS_LOADED, CHAMPION_CHANGED, events.DRIFT_FOUND}


def test_an_automation_is_made_once_brought_up_to_date_and_removed() -> None:
    definition = notification(ALERTS["tell failed runs"] | {"name": "of a test"}, uuid4())
    definition["actions"] = [{"type": "do-nothing"}]
    with get_client(sync_client=True) as client:
        put_automation(client, definition)
        put_automation(client, definition | {"description": "another"})
        (found,) = client.read_automations_by_name("of a test")
        assert found.description == "another"
        remove(client, "of a test")
        remove(client, "of a test")
        assert client.read_automations_by_name("of a test") == []
        assert find_block(client, "slack-webhook/nobody") is None


def test_the_machines_time_zone_is_one_that_schedules_take() -> None:
    assert Settings(time_zone=local_time_zone()).time_zone
