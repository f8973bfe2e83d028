"""Words count as the out-of-vocabulary rate of their row and the lexicon's rules say, spelt out here in plain Python."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment.model.config import ModelConfig
from sentiment.model.features import FeatureConfig, extract
from sentiment.model.lexicon import Lexicon
from sentiment.model.weighting import weigh_words

LEXICON = Lexicon.shipped()
FEATURES = FeatureConfig(ngram_bits=12, word_bits=8, vector_bits=8, pair_bits=8)
VOCABULARY = np.arange(256) % 3 == 0
WORDS = [
    "not",
    "good",
    "bad",
    "she",
    "train",
    ":)",
    "but",
    "although",
    ",",
    "#fail",
    "monday",
    "never",
    "😡",
    "muslim",
    "x",
    "!",
    "than",
    "so",
]
CONFIG = ModelConfig(
    features=FEATURES, lexicon=LEXICON.config, oov_discount=4.0, hashtag_weight=2.0, oov_lexicon_boost=8.0
)


def expected(texts: list[str], rules: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    features = extract(pl.Series(texts), FEATURES)
    reading = LEXICON.read(features)
    negated = set(reading.positions[reading.is_negated].tolist())
    learnt = dict(enumerate(reading.learnt.tolist()))
    of_ngrams = learnt | dict.fromkeys(reading.exclamations_against.tolist(), 0.0)
    ngrams, encoder, lexicon = [], [], []
    for row, (first, end) in enumerate(zip(features.offsets[:-1].tolist(), features.offsets[1:].tolist(), strict=True)):
        words = range(first + 1, end)
        unknown = sum(not (reading.is_known[at] or VOCABULARY[features.words[at]]) for at in words)
        rate = unknown / max(len(words), 1) + 2.0 * features.hashtags[row] / max(len(words), 5)
        tokens = {at: 1.0 if reading.is_known[at] else 1 / (1 + 4.0 * rate) for at in range(first, end)}
        for at in range(first, end):
            clause = float(reading.clause_weights[at]) if rules else 1.0
            sign = -0.74 if rules and at in negated else 1.0
            for members in ((at,), (at, at + 1), (at, at + 1, at + 2), (at, at + 2)):
                least = min(of_ngrams[member] for member in members if member < end) if rules else 1.0
                ngrams.append(least * sign * clause * max(tokens.get(member, 0.0) for member in members))
            half = 0.5 if rules and at in negated else 1.0
            encoder.append(tokens[at] * clause**0.5 * half * (learnt[at] if rules else 1.0))
        boost = 3.0 if rules and any(at in set(reading.symbols.tolist()) for at in words) else 1.0
        lexicon.append((1 + 8.0 * rate) * boost)
    return np.array(ngrams).reshape(-1, 4), np.array(encoder), np.array(lexicon)


@pytest.mark.parametrize("rules", ["valence-v1", "valence-v4"])
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=9), min_size=1, max_size=5))
def test_words_count_as_the_rules_say(rules: str, rows: list[list[str]]) -> None:
    texts = [" ".join(row) for row in rows]
    features = extract(pl.Series(texts), FEATURES)
    config = CONFIG.model_copy(update={"lexicon": LEXICON.config.model_copy(update={"rules": rules})})
    found = weigh_words(features, LEXICON.read(features), VOCABULARY, config)
    for values, right in zip(found, expected(texts, rules == "valence-v4"), strict=True):
        np.testing.assert_allclose(values.numpy(), right, rtol=1e-5, atol=1e-6)
