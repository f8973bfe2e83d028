"""How much work a training does: the dial `effort` and what it sets, and a training as one value. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sentiment.model.config import CustomConfig, EncoderConfig
from sentiment.model.features import FeatureConfig
from sentiment.settings import Device

PASSES = 2
"""How often the rows are read. In a third pass n-grams and encoders would memorise them."""

EFFORTS: dict[int, EncoderConfig | None] = {
    1: None,
    2: EncoderConfig(width=32, layers=2, count=2),
    3: EncoderConfig(width=64, layers=3, count=2),
    4: EncoderConfig(width=64, layers=3, count=4),
}
"""The steps of the dial: which encoders a model has besides n-grams and lexicon, if any."""


class VectorsConfig(BaseModel):
    """Which pretrained word vectors the encoders begin with: identified by the content of the file, not by its path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str = Field(description="SHA-256 of the file")


class TrainingConfig(BaseModel):
    """How much work training does. Counted in work, not seconds, so that a run can be repeated exactly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effort: int = Field(
        default=1,
        ge=1,
        le=max(EFFORTS),
        description="1: n-grams and lexicon; 2 to 4: encoders too, increasingly many and large",
    )
    features: FeatureConfig = FeatureConfig()
    vectors: VectorsConfig | None = None
    custom: CustomConfig | None = Field(
        default=None,
        description="a user's own module besides n-grams, encoders and lexicon",
        exclude_if=lambda value: value is None,
    )
    custom_rows: int | None = Field(
        default=None,
        ge=1,
        description="rows that the user's own module trains on, of all passes together; all unless given",
        exclude_if=lambda value: value is None,
    )
    recipe: Literal[5] = Field(default=5, description="raised when the same rows, config and seed give other weights")
    checkpoint_rows: int | None = Field(
        default=None,
        ge=1,
        description="rows after which a checkpoint is written at the latest; by time alone unless given",
        exclude_if=lambda value: value is None,
    )


@dataclass(frozen=True)
class TrainingJob:
    """One training: what to train, on how many rows, where.

    Attributes:
        rows: how many of the subset's first rows.
        seed: decides the order of rows and every random draw.
        word_vectors: the file of `config.vectors`.
        model: what `config.custom` describes, as the user named it.
        custom_folder: where what it is made from was copied to.
        device: `cpu`, `cuda`, or `auto` for a GPU where there is one and a user's own module is trained. It is no part of a
            version's identity, and a killed run may continue on another.
    """

    rows: int
    config: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0
    word_vectors: Path | None = None
    device: Device = "cpu"
    model: str | None = None
    custom_folder: Path | None = None
