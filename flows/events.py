"""Tells the home's Prefect server that something happened, from processes that do not import Prefect.

A command or the inbox's watcher has a sentence to say to the server and no use for the 120 MB and two seconds of its
library; one request does. Inside flows, `prefect.events.emit_event` does the same.
"""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from flows.orchestration import DIRECT

FILE_LANDED = "sentiment.file.landed"
ROWS_LOADED = "sentiment.rows.loaded"
CHAMPION_CHANGED = "sentiment.champion.changed"
SECONDS_TO_ANSWER = 10.0


def announce(api: str, event: str, resource: str, payload: dict[str, Any]) -> None:
    """Send one event to the server at `api`.

    Raises:
        OSError: it does not answer or does not take it.
    """
    told = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": event,
        "resource": {"prefect.resource.id": resource},
        "payload": payload,
    }
    ask(f"{api}/events", [told])


def ask(address: str, body: Any) -> Any:
    """POST a JSON document to the server and return its answer, if any.

    Raises:
        OSError: it does not answer or does not take it.
    """
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with DIRECT.open(request, timeout=SECONDS_TO_ANSWER) as answer:
        content = answer.read()
    return json.loads(content) if content else None
