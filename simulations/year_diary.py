"""What is written down of a simulated year, and kept when it is interrupted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulations.year_failures import Failure
from simulations.year_source import Source


@dataclass
class Diary:
    """What happened, day by day; a row of `costs` and `disk` a day."""

    alarms: list[dict[str, Any]] = field(default_factory=list)
    refused_files: list[dict[str, Any]] = field(default_factory=list)
    retrains: list[dict[str, Any]] = field(default_factory=list)
    accuracy: list[dict[str, Any]] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)
    disk: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    endings: list[dict[str, Any]] = field(default_factory=list)
    corrections: list[tuple[int, str, str]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    desk: dict[str, Any] = field(default_factory=lambda: {"uses": 0, "pages": 0, "failed": []})
    readers: dict[str, Any] = field(default_factory=lambda: {"looks": 0, "refused": 0, "wrong": []})
    restores: int = 0
    at_backup: tuple[int, int, int] = (0, 0, 0)


@dataclass
class State:
    """What is kept of an interrupted year, next to its home."""

    source: Source
    diary: Diary
    failures: dict[int, Failure]
    played: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    usual: dict[str, float] = field(default_factory=dict)
    is_training_due: bool = False
