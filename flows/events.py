"""Tells the home's Prefect server that something happened, from processes that do not import Prefect.

A command or the inbox's watcher has a sentence to say to the server and no use for the 120 MB and two seconds of its
library; one request does. Inside flows, `prefect.events.emit_event` does the same.
"""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event
from prefect.logging import get_run_logger

FILE_LANDED = "sentiment.file.landed"
ROWS_LOADED = "sentiment.rows.loaded"
CHAMPION_CHANGED = "sentiment.registry.champion.changed"


DRIFT_FOUND = "sentiment.monitoring.drift.found"


DATA_LATE = "sentiment.data.late"


VOLUME_CHANGED = "sentiment.volume.changed"


DISK_LOW = "sentiment.disk.low"


CHALLENGER_REFUSED = "sentiment.challenger.refused"


CHALLENGER_WAITS = "sentiment.challenger.waits"


def raise_alert(event: str, sentence: str, **payload: Any) -> None:
    """Say a sentence in the run's log and as an event that automations see."""
    get_run_logger().warning("%s", sentence)
    emit_event(
        event,
        {"prefect.resource.id": "sentiment.tweets", "prefect.resource.name": event},
        payload={"sentence": sentence, **payload},
    )
