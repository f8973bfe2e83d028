"""How much work a training does: the dial `effort` and what is behind it. Without torch, like `model_config`."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from sentiment.features import FeatureConfig
from sentiment.model_config import EncoderConfig


@dataclass(frozen=True)
class Effort:
    """A step of the dial: how often each part of the model sees the rows, and the encoders beside the n-grams, if any.

    In a third pass both would learn rows by heart, so they never have one."""

    ngram_passes: int
    encoder_passes: int = 0
    encoder: EncoderConfig | None = None

    @property
    def passes(self) -> int:
        """How often the rows are read."""
        return max(self.ngram_passes, self.encoder_passes)


EFFORTS = {
    1: Effort(ngram_passes=2),
    2: Effort(ngram_passes=2, encoder_passes=2, encoder=EncoderConfig(width=32, layers=2, count=2)),
    3: Effort(ngram_passes=2, encoder_passes=2, encoder=EncoderConfig(width=64, layers=2, count=2)),
    4: Effort(ngram_passes=2, encoder_passes=2, encoder=EncoderConfig(width=64, layers=3, count=8)),
}


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
    patience: int = Field(default=2, ge=1, description="passes without a better log loss before training stops")
    checkpoint_rows: int = Field(default=400_000, ge=1, description="rows between two checkpoints")
