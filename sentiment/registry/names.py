"""Names that the registry, the gate and scoring share: aliases, artifacts, and a registered version as a value."""

from __future__ import annotations

from dataclasses import dataclass

CHAMPION = "champion"
TRAINING_KEY = "training_key"
FED_ROWS = "fed_rows.parquet"
REFERENCE_PREDICTIONS = "probe.parquet"
"""The file's name is that of versions registered earlier."""


MODEL_DIGEST = "model_digest"


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the registry."""

    model_version: int
    run_id: str
    training_key: str
