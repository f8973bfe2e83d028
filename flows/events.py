"""Events of this project on a Prefect server, and alerts: events whose payload is a sentence that says what to do.

`deployments/automations.yaml` sends alerts, and failed runs, to the notification block that SENTIMENT_NOTIFICATION_BLOCK
names; other events start deployments, by triggers in `deployments/prefect.yaml`. For anything else, make an automation on
these events in Prefect's page. Only `raise_alert` imports Prefect, since commands that need just a name must not wait two
seconds for it; outside of flows, `flows.server.rest.announce` sends an event with one request.
"""

from __future__ import annotations

from typing import Any

FILE_LANDED = "sentiment.file.landed"
ROWS_LOADED = "sentiment.rows.loaded"
CHAMPION_CHANGED = "sentiment.champion.changed"

DRIFT_FOUND = "sentiment.drift.found"
DATA_LATE = "sentiment.data.late"
VOLUME_CHANGED = "sentiment.volume.changed"
DISK_LOW = "sentiment.disk.low"
CHALLENGER_REFUSED = "sentiment.challenger.refused"
CHALLENGER_WAITS = "sentiment.challenger.waits"


def raise_alert(event: str, sentence: str, **payload: Any) -> None:
    """Write a sentence to the run's log and send it as an event that automations see."""
    from prefect.events import emit_event
    from prefect.logging import get_run_logger

    get_run_logger().warning("%s", sentence)
    emit_event(
        event,
        {"prefect.resource.id": "sentiment.tweets", "prefect.resource.name": event},
        payload={"sentence": sentence, **payload},
    )
