"""What somebody should know of: Prefect events whose payload is a sentence that says what to do.

`deployments/automations.yaml` sends them, and failed runs, to the notification block that SENTIMENT_NOTIFICATION_BLOCK
names; drift also starts `retrain`, by a trigger in `deployments/prefect.yaml`. Whoever wants something else to happen
makes an automation of their own on these events, in Prefect's page.
"""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event
from prefect.logging import get_run_logger

DRIFT_FOUND = "sentiment.drift.found"
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
