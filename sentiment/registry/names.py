"""Names that the registry, the gate and scoring share: aliases, artifacts, and a registered version as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


CHAMPION = "champion"


TRAINING_KEY = "training_key"


FED_ROWS = "fed_rows.parquet"


PROBE = "probe.parquet"


MODEL_DIGEST = "model_digest"


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the registry."""

    model_version: int
    run_id: str
    training_key: str
