"""`python -m flows.deploy`: put the deployments and automations on the Prefect server that PREFECT_API_URL names.

`sentiment up` does it for its own server; by hand it is for any other. Deployments go through `prefect deploy`.
Automations go through Prefect's client, because `prefect automation create` makes another one each time: here the one
of the same name is brought up to date. Safe to repeat; takes 5 s. The work pool must exist.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml  # type: ignore[import-untyped]

PROJECT = Path(__file__).parents[1]
DEPLOYMENTS = "deployments/prefect.yaml"
AUTOMATIONS = "deployments/automations.yaml"


def deploy() -> None:
    """Register all deployments, then all automations.

    Raises:
        subprocess.CalledProcessError: Prefect refused a deployment; it has said why.
    """
    command = ["prefect", "--no-prompt", "deploy", "--all", "--prefect-file", DEPLOYMENTS]
    subprocess.run([sys.executable, "-m", *command], cwd=PROJECT, check=True)

    from prefect.client.orchestration import get_client
    from prefect.events.schemas.automations import AutomationCore

    with get_client(sync_client=True) as client:
        for definition in yaml.safe_load((PROJECT / AUTOMATIONS).read_text())["automations"]:
            automation = AutomationCore.model_validate(definition)
            if existing := client.read_automations_by_name(automation.name):
                client.update_automation(existing[0].id, automation)
            else:
                client.create_automation(automation)


if __name__ == "__main__":
    try:
        deploy()
    except subprocess.CalledProcessError as error:
        sys.exit(f"`prefect deploy` ended with status {error.returncode}; the reason stands above.")
