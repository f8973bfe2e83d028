"""What a publication sent to a target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TargetReport:
    """What a publication sent to a database or a lake."""

    address: str
    publication: str
    count_written: int
    count_removed: int
    replaced: list[str]
    seconds: float

    @property
    def is_unchanged(self) -> bool:
        """Whether the target showed this state already."""
        return not (self.count_written or self.count_removed or self.replaced)
