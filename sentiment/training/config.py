"""How much work a training does: the dial `effort` and what is behind it. Without torch, like `model_config`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sentiment.model.config import EncoderConfig
from sentiment.model.features import FeatureConfig

PASSES = 2
"""How often the rows are read. In a third pass n-grams and encoders would learn them by heart."""

EFFORTS: dict[int, EncoderConfig | None] = {
    1: None,
    2: EncoderConfig(width=32, layers=2, count=2),
    3: EncoderConfig(width=64, layers=3, count=2),
    4: EncoderConfig(width=64, layers=3, count=4),
}
"""The steps of the dial: which encoders stand beside the n-grams, if any."""


class VectorsConfig(BaseModel):
    """Which pretrained word vectors the encoders begin with. A model is known by what is in the file, not by where it lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str = Field(description="SHA-256 of the file")
    frozen: bool = Field(default=False, description="whether words keep their vectors; else they are fine-tuned")


class TrainingConfig(BaseModel):
    """How much work training does. Counted in work, not seconds, so that a run can be repeated exactly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effort: int = Field(
        default=1,
        ge=1,
        le=max(EFFORTS),
        description="1: n-grams alone; 2 to 4: encoders too, ever more and larger ones",
    )
    features: FeatureConfig = FeatureConfig()
    vectors: VectorsConfig | None = None
    checkpoint_rows: int = Field(default=400_000, ge=1, description="rows between two checkpoints")
