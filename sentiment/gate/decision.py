"""What the gate decided, as a value: who was judged against whom, with what outcome, and every check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentiment.gate.checks import Verdict


class Outcome(StrEnum):
    """The outcome of a decision."""

    PROMOTED = "promoted"
    """It passed and is champion now."""
    ALREADY_CHAMPION = "already champion"
    """The same rows were trained on before, and that version is the champion."""
    AWAITS_APPROVAL = "awaits approval"
    """It passed, and `sentiment promote` makes it champion."""
    REFUSED = "refused"
    """It failed at least one check."""
    REFUSED_BEFORE = "refused before"
    """An earlier run trained on the same rows, and its refusal still holds."""


@dataclass(frozen=True)
class Decision:
    """The gate's decision on a challenger.

    Attributes:
        champion_version: the champion that the challenger was compared with; None for the first model, and for the champion
            itself.
    """

    model_version: int
    champion_version: int | None
    verdict: Verdict
    outcome: Outcome

    @property
    def is_champion(self) -> bool:
        """Whether the challenger is champion now."""
        return self.outcome in (Outcome.PROMOTED, Outcome.ALREADY_CHAMPION)
