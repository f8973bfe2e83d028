"""Scheduled batch scoring of tweets: the library. `sentiment.open(home)` is the way in from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentiment.workspace import Workspace


def open(home: str | Path | None = None) -> Workspace:
    """Open a home: its tweets, predictions and labels as polars frames.

    Args:
        home: its folder; the one in SENTIMENT_HOME, or `var`, unless given.

    Raises:
        HomeError: there is none.
    """
    from sentiment.workspace import open_workspace

    return open_workspace(home)
