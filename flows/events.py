"""Tells the home's Prefect server that something happened, from processes that do not import Prefect.

A command or the inbox's watcher has a sentence to say to the server and no use for the 120 MB and two seconds of its
library; one request does. Inside flows, `prefect.events.emit_event` does the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from flows.prefect_rest import ask

FILE_LANDED = "sentiment.file.landed"
ROWS_LOADED = "sentiment.rows.loaded"
CHAMPION_CHANGED = "sentiment.champion.changed"


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
