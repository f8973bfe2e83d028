"""`python -m flows.server.deploy`: put work pool, deployments and automations on the Prefect server that PREFECT_API_URL names.

`sentiment up` runs it for its own server; run it by hand for any other. An existing work pool of any type stays unchanged.
Deployments go through `prefect deploy`, with schedules in the time zone of SENTIMENT_TIME_ZONE or of this machine. Automations
go through Prefect's client, because `prefect automation create` makes another one each time: here the one of the same name is
updated. Alerts go to the block that SENTIMENT_NOTIFICATION_BLOCK names, and are removed without one. Safe to repeat; takes 12
s.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import yaml
from tzlocal import get_localzone_name

from flows.server.proxies import reach_this_machine_directly
from sentiment.errors import SentimentError
from sentiment.settings import load_settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

PROJECT = Path(__file__).parents[2]
_DEFINITIONS = "deployments" if (PROJECT / "deployments").is_dir() else "flows/deployments"  # The latter in a wheel.
DEPLOYMENTS = f"{_DEFINITIONS}/prefect.yaml"
AUTOMATIONS = f"{_DEFINITIONS}/automations.yaml"
WORK_POOL = "sentiment"
NOTE = "note: "


def deploy() -> None:
    """Register all deployments and automations.

    Raises:
        subprocess.CalledProcessError: Prefect refused a deployment; it has said why.
        InputError: a setting cannot be used.
    """
    settings = load_settings()
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", DEPLOYMENTS]
    environment = os.environ | {"SENTIMENT_TIME_ZONE": settings.time_zone or local_time_zone()}
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        make_work_pool(client)
        with subprocess.Popen(command, cwd=PROJECT, env=environment) as deploying:
            put_automations(client, settings.notification_block)
    if deploying.returncode != 0:
        raise subprocess.CalledProcessError(deploying.returncode, command)


def make_work_pool(client: SyncPrefectClient) -> None:
    """Make the work pool, whose runs are child processes of the worker, unless it exists."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type=ProcessWorker.type, base_job_template=template))


def put_automations(client: SyncPrefectClient, block: str | None) -> None:
    """Make the automations, and alerts to a notification block, given as TYPE/NAME."""
    definitions = yaml.safe_load((PROJECT / AUTOMATIONS).read_text())
    for definition in definitions["automations"]:
        put_automation(client, definition)
    block_id = find_block(client, block) if block else None
    if block and block_id is None:
        say(
            f"{NOTE}There is no notification block {block} on this server, so nobody gets alerts. Make it in "
            "Prefect's page under Blocks, then run `python -m flows.server.deploy` or start `sentiment up` again."
        )
    for definition in definitions["alerts"]:
        if block_id is None:
            remove_automation(client, definition["name"])
        else:
            put_automation(client, notification(definition, block_id))


def local_time_zone() -> str:
    """The machine's time zone by its name, UTC if it has none that can be named."""
    try:
        return get_localzone_name() or "UTC"
    except (LookupError, ValueError, OSError):
        return "UTC"


def find_block(client: SyncPrefectClient, name: str) -> UUID | None:
    """The id of a block, given as TYPE/NAME."""
    from prefect.exceptions import ObjectNotFound

    kind, _, document = name.partition("/")
    try:
        return client.read_block_document_by_name(document, block_type_slug=kind).id
    except ObjectNotFound:
        return None


def notification(definition: dict[str, Any], block_id: UUID) -> dict[str, Any]:
    """An alert of automations.yaml as an automation that sends it to a block."""
    text = {name: definition[name] for name in ("subject", "body")}
    action = {"type": "send-notification", "block_document_id": str(block_id), **text}
    return {**{name: value for name, value in definition.items() if name not in text}, "actions": [action]}


def put_automation(client: SyncPrefectClient, definition: dict[str, Any]) -> None:
    """Create an automation, or update the one of its name."""
    from prefect.events.schemas.automations import AutomationCore

    automation = AutomationCore.model_validate(definition)
    if existing := client.read_automations_by_name(automation.name):
        client.update_automation(existing[0].id, automation)
    else:
        client.create_automation(automation)


def remove_automation(client: SyncPrefectClient, name: str) -> None:
    """Remove an automation if there is one of that name."""
    for automation in client.read_automations_by_name(name):
        client.delete_automation(automation.id)


def say(line: str) -> None:
    """Print a note for the caller; `up` shows it to its user."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    reach_this_machine_directly(os.environ)
    try:
        deploy()
    except subprocess.CalledProcessError as error:
        sys.exit(f"`prefect deploy` ended with status {error.returncode}; the reason is printed above.")
    except SentimentError as error:
        sys.exit(str(error))
