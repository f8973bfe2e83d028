"""Put the deployments and automations of this checkout on a Prefect server.

Deployments go through `prefect deploy`, as anyone would do it by hand. Automations go through the server's API, because
`prefect automation create` makes another one each time: here one that has the same name is replaced.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from flows.orchestration import DIRECT, SECONDS_TO_ANSWER
from sentiment.errors import HomeError

PROJECT = Path(__file__).parents[1]
DEPLOYMENTS = "deployments/prefect.yaml"
AUTOMATIONS = "deployments/automations.yaml"


def deploy(environment: dict[str, str], log: Path) -> None:
    """Register all deployments and automations with the server that `environment` names; takes 5 s.

    Raises:
        HomeError: Prefect refused a deployment; the message names the log.
    """
    command = ["prefect", "--no-prompt", "deploy", "--all", "--prefect-file", DEPLOYMENTS]
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=PROJECT, env=environment, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        raise HomeError(f"`{' '.join(command)}` ended with status {done.returncode}; see {log}.")
    for automation in yaml.safe_load((PROJECT / AUTOMATIONS).read_text())["automations"]:
        replace_automation(environment["PREFECT_API_URL"], automation)


def replace_automation(api: str, automation: dict[str, Any]) -> None:
    """Create an automation, or bring the one of that name up to date."""
    same_name = {"automations": {"name": {"any_": [automation["name"]]}}}
    existing = ask(f"{api}/automations/filter", same_name)
    if existing:
        ask(f"{api}/automations/{existing[0]['id']}", automation, method="PUT")
    else:
        ask(f"{api}/automations/", automation)


def ask(address: str, body: object, method: str = "POST") -> Any:
    """Send JSON to the server's API and return its answer, None if that is empty."""
    content, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(address, content, headers, method=method)
    with DIRECT.open(request, timeout=SECONDS_TO_ANSWER) as answer:
        return json.loads(answer.read() or b"null")
