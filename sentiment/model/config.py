"""What a saved model says of itself in `config.json`: the shape of each part, and how the parts are weighed.

Without torch, which takes 2 s to import: whoever chooses a shape has none to compute with. Travels with a registered model.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from .features import FeatureConfig
from .neutral import NeutralRule


class EncoderConfig(BaseModel):
    """How many encoders there are, and their shape."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        default=32, ge=2, le=512, description="numbers a position in each layer; the second half reads backwards"
    )
    layers: int = Field(default=2, ge=1, le=8, description="layers of gated memory, one upon the other")
    count: int = Field(default=1, ge=1, le=32, description="encoders beside each other; their logits are averaged")


class LexiconConfig(BaseModel):
    """Which rules a lexicon is read by, and how many entries it has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Literal["valence-v1", "valence-v2"] = Field(
        default="valence-v2", description="v2: negation and contrast change what was learnt of words too"
    )
    count_entries: int = Field(ge=0, description="words, phrases and emoji; the words themselves are among the weights")
    notice: str = Field(default="", description="licence of the list that the values come from; must stay with them")


class Bend(BaseModel):
    """Calibration of a logit, fitted after training: beta calibration, a term for the middle and one for the ends. Always
    rising, so that the order of tweets stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rise: float = Field(default=1.0, gt=0, description="how far positive logits count")
    fall: float = Field(default=1.0, gt=0, description="how far negative logits count")
    middle: float = Field(default=0.0, ge=0, description="how much further logits near zero count than large ones")
    ends: float = Field(default=0.0, ge=0, description="how much further large logits count than those near zero")
    offset: float = Field(default=0.0, description="added to the logit")

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Bend logits: float64, shape as given; the defaults change nothing."""
        wide = logits.astype(np.float64)
        sides = self.rise * np.logaddexp(0, wide) - self.fall * np.logaddexp(0, -wide)
        return sides + self.middle * np.arcsinh(wide) + self.ends * wide * np.abs(wide) + self.offset


class ModelConfig(BaseModel):
    """What a model needs beside its weights to give the same probabilities again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["sentiment-model-3"] = "sentiment-model-3"
    features: FeatureConfig = FeatureConfig()
    encoder: EncoderConfig | None = None
    ngram_weight: float = Field(default=1.0, description="of the n-grams' logit; fitted after training")
    encoder_weight: float = Field(default=0.0, description="of the encoders' mean logit; fitted after training")
    lexicon: LexiconConfig | None = None
    lexicon_weight: float = Field(default=0.0, ge=0, description="of the lexicon's score; chosen after training")
    topic_fade: float = Field(
        default=0.0,
        ge=0,
        description="words that the lexicon does not know, and n-grams without one, count 1 / (1 + this * strangeness)",
    )
    hashtag_weight: float = Field(
        default=0.0, ge=0, description="a hashtag is as strange as so many words that are not known"
    )
    lexicon_lift: float = Field(default=0.0, ge=0, description="the lexicon counts 1 + this * strangeness")
    bend: Bend = Bend()
    neutral: NeutralRule = NeutralRule()

    @property
    def weights(self) -> np.ndarray:
        """Weights of the parts, in the order of `SentimentModel.logits`: float32, shape (3,)."""
        return np.array([self.ngram_weight, self.encoder_weight, self.lexicon_weight], dtype=np.float32)
