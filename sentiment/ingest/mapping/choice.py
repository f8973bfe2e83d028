"""The columns that are taken, by role, and the columns that compete for a role."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentiment.ingest.mapping import names
from sentiment.ingest.mapping.labels import Scheme
from sentiment.ingest.mapping.question import Question
from sentiment.ingest.mapping.survey import ColumnSurvey


@dataclass
class Choice:
    """The columns by role, why each was taken, how labels are read, and what is not sure."""

    columns: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    scheme: Scheme | None = None
    is_sentiment140: bool = False
    questions: list[Question] = field(default_factory=list)

    def take(self, role: str, name: str, reason: str) -> None:
        """Take a column for a role."""
        self.columns[role], self.reasons[role] = name, reason


def ranked(found: dict[str, ColumnSurvey], choice: Choice, role: str) -> list[tuple[tuple[int, int], ColumnSurvey]]:
    """The columns that hold anything, are not taken and have a name of this role, the best names first."""
    taken = set(choice.columns.values())
    pairs = [
        (rank, column)
        for name, column in found.items()
        if name not in taken and (rank := names.rank(name, role)) is not None and column.sampled + column.is_instant
    ]
    return sorted(pairs, key=lambda pair: pair[0])


def place_of(name: str, has_names: bool) -> str:
    """How a column is named in an option: by its number where it has no name."""
    return name if has_names else name.removeprefix("column ")
