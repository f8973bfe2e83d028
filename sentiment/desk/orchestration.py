"""What the desk needs of the program that runs the flows. `flows` has it, since the library never imports Prefect."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class RunOfFlow:
    """A run that is planned, at work, or went wrong."""

    name: str
    at: datetime
    state: str = ""
    address: str = ""


@dataclass(frozen=True)
class Seen:
    """What the server of the flows says; `address` is empty when none runs."""

    address: str = ""
    next_runs: list[RunOfFlow] = field(default_factory=list)
    running: list[RunOfFlow] = field(default_factory=list)
    failed: list[RunOfFlow] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)


class Orchestration(Protocol):
    """The server that runs the flows of a home."""

    def look(self) -> Seen:
        """What is planned, at work, and went wrong."""

    def start(self, deployment: str, parameters: dict[str, Any]) -> str:
        """Start a deployment.

        Returns:
            the address of its run.

        Raises:
            HomeError: no server runs, or it does not take it.
        """


class NoOrchestration:
    """Without a server: nothing is planned, and nothing can be started."""

    def look(self) -> Seen:
        """Nothing."""
        return Seen()

    def start(self, deployment: str, parameters: dict[str, Any]) -> str:
        """Refuse."""
        from sentiment.errors import HomeError

        raise HomeError(
            f"No server of this home runs its flows. Start one with `sentiment up`, or run `sentiment {deployment}` yourself."
        )
