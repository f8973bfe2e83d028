"""The checks of a decision side by side, one unit a column: shares in percent, differences in percentage points.

Prefect's artifact, MLflow's description and the desk's page show these rows, so that they say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sentiment.markdown import percent

TITLES = {
    "no_leak": "evaluation rows that it was fed",
    "loads": "change by loading",
    "floor": "right on the hold-out",
    "better": "right on the same rows",
    "gold": "worst hand-labelled set",
    "neutral": "neutral tweets told apart",
    "slices": "worst slice",
    "behaviour": "cases passed",
    "speed": "seconds to score all",
    "rolled_back": "people went back from it",
}


class Measured(Protocol):
    """What a check measured: `checks.Check`, or its row in `decisions`."""

    @property
    def check_name(self) -> str: ...
    @property
    def passed(self) -> bool: ...
    @property
    def champion_value(self) -> float | None: ...
    @property
    def challenger_value(self) -> float | None: ...
    @property
    def lower(self) -> float | None: ...
    @property
    def upper(self) -> float | None: ...


@dataclass(frozen=True)
class Row:
    """A check as people read it; a cell without a value is empty."""

    check_name: str
    passed: bool
    measure: str
    champion: str
    challenger: str
    difference: str
    interval: str


MINUS = "\N{MINUS SIGN}"
# Short, since the tables of Prefect's pages do not wrap; differences and intervals are in percentage points.
HEADER = ["check", "measured", "champion", "challenger", "points", "interval"]


def compare(checks: Sequence[Measured]) -> list[Row]:
    """A row for each check, in their order."""
    return [_row(check) for check in checks]


def _row(check: Measured) -> Row:
    name, champion, challenger = check.check_name, check.champion_value, check.challenger_value
    interval = difference = ""
    shown = ("", "")
    if name in ("better", "behaviour", "floor"):
        shown = (percent(champion, 2), percent(challenger, 2))
        if champion is not None and challenger is not None:
            difference = _points(challenger - champion)
            interval = _between(check.lower, check.upper)
    elif name in ("gold", "neutral", "slices"):
        difference, interval = _points(challenger), _between(check.lower, check.upper)
    elif challenger is not None:
        shown = ("", f"{challenger:,.0f}" if name in ("speed", "no_leak") else f"{challenger:.2g}")
    return Row(name, check.passed, TITLES.get(name, name.replace("_", " ")), *shown, difference, interval)


def _points(difference: float | None) -> str:
    return "" if difference is None else f"{100 * difference:+.2f}".replace("-", MINUS)


def _between(lower: float | None, upper: float | None) -> str:
    return "" if lower is None or upper is None else f"{_points(lower)} to {_points(upper)}"
