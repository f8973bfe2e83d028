"""Asks a Prefect server over its REST API, from processes that do not import Prefect.

A command or the inbox watcher makes one request, which is not worth importing Prefect: 120 MB and two seconds. A server whose
SQLite file is being written answers 503 for a moment; the request is retried, as Prefect's client does.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib3 import PoolManager
from datetime import UTC, datetime
from uuid import uuid4

SECONDS_TO_ANSWER = 10.0
TIMES_WHEN_BUSY = 4


@functools.cache
def _connections() -> PoolManager:
    # Only 503 is retried: a server that does not listen is not running. No proxy is taken from the environment,
    # and no connection is kept, which the server might close just when it is used again.
    from urllib3 import PoolManager
    from urllib3.util import Retry

    busy = Retry(TIMES_WHEN_BUSY, connect=0, read=0, status_forcelist=[503], allowed_methods=None, backoff_factor=0.25)
    return PoolManager(retries=busy, timeout=SECONDS_TO_ANSWER, headers={"Connection": "close"})


def ask(address: str, body: Any = None) -> Any:
    """GET, or POST when there is a body; None for 404 and for an empty answer.

    Args:
        body: what is sent as JSON.

    Raises:
        OSError: the server does not answer or does not take it.
    """
    from urllib3.exceptions import HTTPError

    try:
        answer = _connections().request("GET" if body is None else "POST", address, json=body)
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise OSError(f"HTTP status {answer.status}")
        return answer.json() if answer.data else None
    except (HTTPError, ValueError) as error:
        raise OSError(str(getattr(error, "reason", None) or error)) from error


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
