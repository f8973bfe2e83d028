"""Whether the words of texts agree with their labels: VADER's list, added up, and a sign test.

A few rows tell: one text in two holds a word of the list, and labels that people gave agree with it in 70 to 90 of
100. So labels read the wrong way round show themselves beyond chance in 30 texts. Texts in other languages say
nothing and contradict nothing.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from importlib.resources import files

import polars as pl

from sentiment.markdown import percent

_NEGATORS = frozenset(
    ["not", "no", "never", "isnt", "dont", "doesnt", "didnt", "cant", "wont", "wasnt", "without", "hardly"]
)
# Standard deviations beyond what chance gives: one file in 30 million.
_BEYOND_CHANCE = 5.4
_CONFIRMED = 3.0
# Where a name says it already: chance gives as much in one file in 15.
_HINTED = 1.5
# Where little else could be meant: one file in 160.
_CONFIRMED_LIKELY = 2.5
# Of leaning texts, 61 to 77 % lean to the positive side where people call them neutral, 80 to 93 % where positive.
_LEAST_POSITIVE = 0.8
_WEAKEST = 0.5
# Far more than a contradiction needs.
_MOST_COMPARED = 4_000


@functools.cache
def _values() -> dict[str, float]:
    text = files("sentiment.model").joinpath("lexicon_words", "vader.tsv").read_text(encoding="utf-8")
    pairs = (line.split("\t") for line in text.splitlines())
    return {word: float(value) for word, value in pairs}


def word_scores(texts: pl.Series) -> pl.Series:
    """How positive the words of each text are, added up: Float64, 0 where the list knows none."""
    values = _values()
    words = texts.fill_null("").str.to_lowercase().str.replace_all("['’]", "").str.extract_all(r"[a-z]+|[:;=]-?[()D]")
    scores = []
    for found in words.to_list():
        score, before = 0.0, ""
        for word in found:
            value = values.get(word, 0.0)
            score += -0.7 * value if before in _NEGATORS else value
            before = word
        scores.append(score)
    return pl.Series("score", scores, dtype=pl.Float64)


@dataclass(frozen=True)
class Agreement:
    """Of the labelled texts whose words lean to one side: how many lean to the side of their label."""

    count_agree: int
    count_disagree: int

    @property
    def count(self) -> int:
        """The labelled texts that lean to one side."""
        return self.count_agree + self.count_disagree

    @property
    def z(self) -> float:
        """Standard deviations from what chance gives; below zero where the words contradict."""
        return (self.count_agree - self.count_disagree) / math.sqrt(self.count) if self.count else 0.0

    @property
    def is_contradiction(self) -> bool:
        """Whether labels are the other way round far more often than chance allows."""
        return self.z < -_BEYOND_CHANCE

    @property
    def is_confirmation(self) -> bool:
        """Whether the values are labels of sentiment, as far as words tell."""
        return self.z > _CONFIRMED

    @property
    def is_hint(self) -> bool:
        """Whether words speak for labels of sentiment in a column that is named as one of labels."""
        return self.z > _HINTED

    @property
    def is_likely(self) -> bool:
        """Whether words confirm labels that the values suggest by themselves."""
        return self.z > _CONFIRMED_LIKELY

    @property
    def sentence(self) -> str:
        """The figures."""
        return (
            f"Of {self.count:,} labelled texts with words that lean to one side, {self.count_disagree:,} lean against "
            f"their label ({percent(self.count_disagree / max(1, self.count), 0)}; labels that people give: 10 to 30 %)."
        )


def agreement(texts: pl.Series, labels: pl.Series) -> Agreement:
    """Compare texts with their labels, both of the same rows; neutral ones and those without a label are left out."""
    is_labelled = labels.is_in(["negative", "positive"]).fill_null(False)
    rows = is_labelled.arg_true()
    rows = rows.gather_every(max(1, len(rows) // _MOST_COMPARED))
    scores, labels = word_scores(texts.gather(rows)), labels.gather(rows)
    leans = scores.abs() >= _WEAKEST
    scores, labels = scores.filter(leans), labels.filter(leans)
    is_right = (scores > 0) == (labels == "positive")
    count_agree = int(is_right.sum())
    return Agreement(count_agree, len(is_right) - count_agree)


def are_positive(texts: pl.Series) -> bool:
    """Whether texts of one label are positive rather than neutral: by the 95 % lower bound (Wilson) of those that lean so."""
    scores = word_scores(texts)
    leaning = scores.filter(scores.abs() >= _WEAKEST)
    count = len(leaning)
    if not count:
        return False
    share, z = float((leaning > 0).mean()), 1.96  # type: ignore[arg-type]
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (centre - spread) / (1 + z * z / count) > _LEAST_POSITIVE
