"""Ports on the loopback address, kept per home so that addresses stay the same."""

from __future__ import annotations

import json
import socket

from sentiment.errors import HomeError
from sentiment.model.atomic import atomic_write
from sentiment.settings import Home

CLASSIC = "workflowType=machine_learning"
FIRST_PORTS = {"prefect": 4200, "mlflow": 5000, "api": 8000}  # Where people look for them; the next free one is taken.


def listen_on_ports(home: Home) -> dict[str, socket.socket]:
    """Listen on the home's ports, and write them down: the last ones where they are free, else the next free ones.

    The sockets are for the servers, as their standard input. A port that was only looked up could be taken by another home
    before its server listens, or while it is started again.

    Raises:
        HomeError: none of a thousand ports is free.
    """
    ports, listeners = read_ports(home), {}
    for name, first in FIRST_PORTS.items():
        candidates = [ports[name]] if name in ports else []
        taken = {port for other, port in ports.items() if other != name}
        candidates += [port for port in range(first, first + 1000) if port not in taken]
        listener = next(filter(None, map(listener_on, candidates)), None)
        if listener is None:
            raise HomeError(f"None of the ports {first} to {first + 999} is free for {name}; end what listens there.")
        listeners[name] = listener
        ports[name] = listener.getsockname()[1]
    with atomic_write(home.prefect / "ports.json") as draft:
        draft.write_text(json.dumps(ports))
    return listeners


def read_ports(home: Home) -> dict[str, int]:
    """The ports written down; none on a new home."""
    try:
        ports: dict[str, int] = json.loads((home.prefect / "ports.json").read_text())
    except (OSError, ValueError):
        return {}
    return ports


def listener_on(port: int) -> socket.socket | None:
    """A socket that listens on a port of this machine, None if somebody else has the port."""
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError:
        return None
    # Connections inherit it. Servers set it for sockets of their own alone, and without it each answer waits for 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def desk_page(port: int | None) -> str:
    """The desk's first page."""
    return f"http://127.0.0.1:{port}"


def mlflow_page(port: int | None) -> str:
    """MLflow's page of experiments and models; by itself it opens pages for traces of language models, which hide them."""
    return f"http://127.0.0.1:{port}/#/experiments?{CLASSIC}"


def version_page(port: int | None, model: str, version: int) -> str:
    """MLflow's page of a registered version."""
    return f"http://127.0.0.1:{port}/#/models/{model}/versions/{version}?{CLASSIC}"
