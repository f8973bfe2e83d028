"""Ports on the loopback address, kept per home so that addresses stay the same."""

from __future__ import annotations

import json
import socket

from sentiment.model.atomic import atomic_write
from sentiment.settings import Home

CLASSIC = "workflowType=machine_learning"
FIRST_PORTS = {"prefect": 4200, "mlflow": 5000, "api": 8000}  # Where people look for them; the next free one is taken.


def choose_ports(home: Home) -> dict[str, int]:
    """Choose the home's ports, and write them down: the last ones where they are free, else the next free ones."""
    ports = read_ports(home)
    for name, first in FIRST_PORTS.items():
        candidates = [ports[name]] if name in ports else []
        taken = {port for other, port in ports.items() if other != name}
        candidates += [port for port in range(first, first + 1000) if port not in taken]
        ports[name] = next(port for port in candidates if is_free(port))
    with atomic_write(home.prefect / "ports.json") as draft:
        draft.write_text(json.dumps(ports))
    return ports


def read_ports(home: Home) -> dict[str, int]:
    """The ports written down; none on a new home."""
    try:
        ports: dict[str, int] = json.loads((home.prefect / "ports.json").read_text())
    except (OSError, ValueError):
        return {}
    return ports


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def desk_page(port: int | None) -> str:
    """The desk's first page."""
    return f"http://127.0.0.1:{port}"


def mlflow_page(port: int | None) -> str:
    """MLflow's page of experiments and models; by itself it opens pages for traces of language models, which hide them."""
    return f"http://127.0.0.1:{port}/#/experiments?{CLASSIC}"


def version_page(port: int | None, model: str, version: int) -> str:
    """MLflow's page of a registered version."""
    return f"http://127.0.0.1:{port}/#/models/{model}/versions/{version}?{CLASSIC}"
