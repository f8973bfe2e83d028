"""Which texts are neutral: those that show too little mood, on either side.

The evidence of a text is what the lexicon finds in it, all values added up without their signs after negation and emphasis,
plus a little for how sure the whole model is of a side: `good but slow` shows mood, a headline shows none, however long it is.
Two numbers turn the evidence into a probability. They were chosen on hand-labelled tweets of two sources, in which thresholds
from 1.4 to 2.3 do equally well for models of 2,000 to 1.5 million rows; a user's own hand-labelled neutral tweets replace them
(`training.neutrality`).

The probability of positive is left as it is: how likely a text is positive rather than negative, if it is either.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

LABELS: tuple[str, ...] = ("negative", "neutral", "positive")
_OF_LOGIT = 0.3
"""Evidence for each unit of the calibrated logit, in which the n-grams and encoders speak too."""


class NeutralRule(BaseModel):
    """From evidence to the probability that a text is neutral."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(default=2.0, ge=0, description="evidence at which a text is as likely neutral as not")
    slope: float = Field(default=0.5, gt=0, description="logits that a unit of evidence takes off")
    count_fitted: int = Field(default=0, ge=0, description="neutral tweets that both were fitted on; 0: as shipped")

    def __call__(self, evidence: np.ndarray) -> np.ndarray:
        """Probability of neutral, where half of all tweets are: float32, shape (rows,)."""
        logits = np.clip(self.slope * (self.threshold - evidence), -80, 80)
        probability: np.ndarray = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return probability


class Prediction(NamedTuple):
    """What a model says of some texts."""

    probability_positive: np.ndarray
    """float32, shape (rows,): of positive rather than negative."""
    probability_neutral: np.ndarray
    """float32, shape (rows,): of neutral rather than either; 0 from a model without a lexicon."""

    def labels(self, count_labels: Literal[2, 3] = 3) -> np.ndarray:
        """The likelier side, or neutral from a probability of 0.5 on: str, shape (rows,).

        Args:
            count_labels: with 2, none is neutral.
        """
        return np.array(LABELS)[self.label_codes(count_labels)]

    def label_codes(self, count_labels: Literal[2, 3] = 3) -> np.ndarray:
        """The labels by their places in `LABELS`: int8, shape (rows,); a tenth of the cost of strings for many rows.

        Args:
            count_labels: with 2, none is neutral.
        """
        sides = np.where(self.probability_positive >= 0.5, 2, 0).astype(np.int8)
        if count_labels == 3:
            sides[self.probability_neutral >= 0.5] = 1
        return sides


def evidence_of(strength: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """How much mood texts show: float64, shape (rows,), 0 for none.

    Args:
        strength: values of the words that the lexicon knows, without signs and added up, shape (rows,).
        logits: calibrated, shape (rows,).
    """
    evidence: np.ndarray = strength + _OF_LOGIT * np.abs(logits)
    return evidence
