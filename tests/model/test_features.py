"""Features never change: each rule of the tokeniser has a test, and some values are written down."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sentiment.model.features import FeatureConfig, Features, extract
from sentiment.model.words import hash_words

CONFIG = FeatureConfig(ngram_bits=16, word_bits=10)
RELEASED_WORDS = [
    3053720336324781847,
    6778352655222771208,
    13672846375540944515,
    6630676768762512630,
    14473267889191006716,
    7643048962877823945,
]
RELEASED_NGRAMS = [
    [19951, 54153, 17764, 32511],
    [13604, 41558, 21345, 35573],
    [19951, 60500, 36706, 32511],
    [19951, 44196, 11016, 26164],
    [3647, 34810, 18986, 58469],
    [13604, 41558, 21345, 35573],
]
RELEASED_BUCKETS = [311, 212, 311, 311, 56, 212]


def words(text: str) -> list[int]:
    return hash_words(pl.Series([text])).hashes.tolist()


@pytest.mark.parametrize(
    ("rule", "text", "same"),
    [
        ("case does not count", "GOOD Morning", "good morning"),
        ("links go", "look http://t.co/x?y=1 here", "look here"),
        ("links of any case go", "look HTTPS://T.CO/a here", "look here"),
        ("links without a scheme go", "look www.example.com/a here", "look here"),
        ("mentions go", "thanks @some_one1 friend", "thanks friend"),
        ("two mentions in a row go", "@a@b thanks", "thanks"),
        ("an at sign alone is nothing", "meet @ noon", "meet noon"),
        ("apostrophes go", "don't can't", "dont cant"),
        ("long runs become two", "soooooooo haaappy", "soo haappy"),
        ("hashtags are words", "#fail today", "fail today"),
        ("marks are words of their own", "good,bad!", "good , bad !"),
        ("long runs of a mark become two", "good..... bad!!!!", "good.. bad!!"),
        ("different marks are different words", "what?!", "what ? !"),
        ("a hash sign is nothing", "good # bad", "good bad"),
        ("lines divide words", "good\nbad\r\n\tugly", "good bad ugly"),
        ("a NUL divides words", "good\x00bad", "good bad"),
    ],
)
def test_texts_with_the_same_words(rule: str, text: str, same: str) -> None:
    assert words(text) == words(same), rule


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("so", "soo"),
        ("good bad", "bad good"),
        ("naïve", "naive"),
        ("привет", "пока"),
        ("4", "44"),
        ("good", "good!"),
        ("good!", "good?"),
        ("good!", "good!!"),
    ],
)
def test_texts_with_different_words(one: str, other: str) -> None:
    assert words(one) != words(other)


def test_words_are_those_of_the_first_release() -> None:
    assert words("Soooo good, don't go @you 😀") == RELEASED_WORDS


def test_features_are_those_of_the_first_release() -> None:
    features = extract(pl.Series(["good", "", "not good"]), CONFIG)
    assert features.ngrams.tolist() == RELEASED_NGRAMS
    assert features.words.tolist() == RELEASED_BUCKETS
    assert features.offsets.tolist() == [0, 2, 3, 6]


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60), min_size=1, max_size=10))
def test_a_row_has_the_same_features_alone_as_in_a_batch(texts: list[str]) -> None:
    together = extract(pl.Series(texts, dtype=pl.String), CONFIG)
    for row, text in enumerate(texts):
        alone, among = extract(pl.Series([text]), CONFIG), together.rows(row, row + 1)
        assert np.array_equal(alone.ngrams, among.ngrams)
        assert np.array_equal(alone.words, among.words)
        assert np.array_equal(alone.offsets, among.offsets)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_buckets_stay_below_their_number_and_every_text_has_a_separator(text: str) -> None:
    features = extract(pl.Series([text]), CONFIG)
    assert features.ngrams.dtype == features.words.dtype == np.int32
    assert 0 <= features.ngrams.min() <= features.ngrams.max() < 1 << 16
    assert 0 <= features.words.min() <= features.words.max() < 1 << 10
    assert features.offsets.tolist() == [0, len(features.words)]
    assert len(features.words) == len(words(text)) + 1


def test_ngrams_see_order_and_the_ends_of_a_tweet() -> None:
    def ngrams(text: str) -> set[int]:
        return set(extract(pl.Series([text]), FeatureConfig()).ngrams.reshape(-1).tolist())

    assert ngrams("dog bites man") != ngrams("man bites dog")
    assert ngrams("bites") - ngrams("dog bites man"), "that nothing precedes and follows a word is a feature"


def test_a_megabyte_without_a_space_is_one_word() -> None:
    assert len(words("ab" * 500_000)) == 1


def test_no_texts_have_no_features() -> None:
    features = extract(pl.Series([], dtype=pl.String), CONFIG)
    assert isinstance(features, Features)
    assert (features.ngrams.shape, features.words.shape, features.offsets.tolist()) == ((0, 4), (0,), [0])


def test_a_config_of_another_version_is_refused() -> None:
    with pytest.raises(ValidationError):
        FeatureConfig.model_validate({"tokeniser": "words-v99"})
    with pytest.raises(ValidationError):
        FeatureConfig.model_validate({"unknown": 1})


def test_hashtags_are_counted_whatever_the_path() -> None:
    texts = ["#a #b c", "see http://x.com/#frag and #y", "# 1 ## !", "", "plain"]
    few = extract(pl.Series(texts), FeatureConfig())
    many = extract(pl.Series(texts * 60), FeatureConfig())
    assert few.hashtags.tolist() == [2, 1, 0, 0, 0]
    assert many.hashtags.tolist() == few.hashtags.tolist() * 60
