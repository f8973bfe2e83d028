"""What `config.json` of a saved model holds: the shape of each part, and how the parts are combined.

Free of torch, which takes 2 s to import, for code that only chooses a shape.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from .features import FeatureConfig
from .neutral import NeutralRule

FORMAT: Literal["sentiment-model-4"] = "sentiment-model-4"
_NAMES_OF_FORMAT_3 = {"topic_fade": "oov_discount", "lexicon_lift": "oov_lexicon_boost", "bend": "calibration"}
_COEFFICIENTS_OF_FORMAT_3 = {"rise": "b", "fall": "a", "offset": "c", "middle": "asinh", "ends": "signed_square"}


class EncoderConfig(BaseModel):
    """How many encoders there are, and their shape."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        default=32, ge=2, le=512, description="numbers a position in each layer; the second half runs backwards"
    )
    layers: int = Field(default=2, ge=1, le=8, description="layers of gated scans, stacked")
    count: int = Field(default=1, ge=1, le=32, description="encoders; their logits are averaged")


class CustomConfig(BaseModel):
    """Which module of a user's own is part of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="`my_package.my_module:build`, or `hf:` and a folder or name of a Hugging Face model")
    digest: str = Field(description="SHA-256 of the source, or of the pretrained files, that training began with")


class LexiconConfig(BaseModel):
    """Which rules a lexicon is read by, and how many entries it has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Literal["valence-v1", "valence-v2", "valence-v3", "valence-v4"] = Field(
        default="valence-v4",
        description="v2: negation and contrast also change what was learnt of words; v3: less of it counts where words "
        "mean something else together; v4: constructions of several words and comparatives",
    )
    count_entries: int = Field(ge=0, description="words, phrases and emoji; the words themselves are among the weights")
    notice: str = Field(default="", description="licence of the word list; must stay with the values")


class BetaCalibration(BaseModel):
    """Calibration of a logit z, fitted after training: beta calibration (Kull, Silva Filho and Flach 2017) with two more terms.

    `b * softplus(z) - a * softplus(-z) + c + asinh * asinh(z) + signed_square * z * |z|`. Strictly increasing, so the order
    of tweets never changes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    a: float = Field(default=1.0, gt=0, description="factor of negative logits")
    b: float = Field(default=1.0, gt=0, description="factor of positive logits")
    c: float = Field(default=0.0, description="intercept")
    asinh: float = Field(default=0.0, ge=0, description="makes the middle steeper than the ends")
    signed_square: float = Field(default=0.0, ge=0, description="makes the ends steeper than the middle")

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Calibrate logits: float64, shape as given; with the defaults they stay as they are."""
        wide = logits.astype(np.float64)
        sides = self.b * np.logaddexp(0, wide) - self.a * np.logaddexp(0, -wide)
        return sides + self.c + self.asinh * np.arcsinh(wide) + self.signed_square * wide * np.abs(wide)


class ModelConfig(BaseModel):
    """What a model needs, besides its weights, to give the same probabilities again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["sentiment-model-4"] = FORMAT
    features: FeatureConfig = FeatureConfig()
    ngram_kind_weights: tuple[float, float, float, float] = Field(
        default=(1.0, 1.0, 1.0, 1.0),
        description="of n-grams of one, two and three words, and of the first and third of three words",
    )
    encoder: EncoderConfig | None = None
    custom: CustomConfig | None = Field(
        default=None, description="a user's own module", exclude_if=lambda value: value is None
    )
    ngram_weight: float = Field(default=1.0, description="of the n-grams' logit; fitted after training")
    encoder_weight: float = Field(default=0.0, description="of the encoders' mean logit; fitted after training")
    custom_weight: float = Field(
        default=0.0, description="of a user's own module; fitted after training", exclude_if=lambda value: value == 0
    )
    lexicon: LexiconConfig | None = None
    lexicon_weight: float = Field(default=0.0, ge=0, description="of the lexicon's score; chosen after training")
    oov_discount: float = Field(
        default=0.0,
        ge=0,
        description="words that the lexicon does not know, and n-grams without one, count 1 / (1 + this * OOV rate)",
    )
    hashtag_weight: float = Field(default=0.0, ge=0, description="a hashtag counts as so many out-of-vocabulary words")
    oov_lexicon_boost: float = Field(default=0.0, ge=0, description="the lexicon counts 1 + this * OOV rate")
    calibration: BetaCalibration = BetaCalibration()
    neutral: NeutralRule = NeutralRule()

    @property
    def weights(self) -> np.ndarray:
        """Weights of the parts, in the order of `SentimentModel.part_logits`: float32, shape (4,)."""
        weights = (self.ngram_weight, self.encoder_weight, self.custom_weight, self.lexicon_weight)
        return np.array(weights, dtype=np.float32)


def upgrade_config(document: dict[str, Any]) -> dict[str, Any]:
    """A `config.json` of an earlier version as one of today's; any other is returned as it is."""
    if document.get("custom") and not document.get("encoder") and "custom_weight" not in document:
        # A user's own module was in the place of the encoders.
        document = document | {"custom_weight": document.get("encoder_weight", 0.0), "encoder_weight": 0.0}
    if document.get("format") != "sentiment-model-3":
        return document
    upgraded = {_NAMES_OF_FORMAT_3.get(name, name): value for name, value in document.items()} | {"format": FORMAT}
    if isinstance(upgraded.get("calibration"), dict):
        upgraded["calibration"] = {
            _COEFFICIENTS_OF_FORMAT_3.get(name, name): value for name, value in upgraded["calibration"].items()
        }
    return upgraded
