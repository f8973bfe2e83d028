"""Emoticons and emoji are words, and typographic signs are those of a keyboard."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

from sentiment.model.symbols import spell_out, spell_out_one
from sentiment.model.words import hash_words


def spelt(text: str) -> list[str]:
    return spell_out(pl.Series([text])).to_list()[0].split()


@pytest.mark.parametrize(
    ("text", "emoji"),
    [
        (":)", "🙂"),
        ("=]", "🙂"),
        (":-))", "🙂"),
        ("(:", "🙂"),
        (":D", "😃"),
        ("xD", "😃"),
        (";)", "😉"),
        (":P", "😛"),
        (":*", "😘"),
        ("<3", "❤"),
        ("</3", "💔"),
        (":(", "🙁"),
        ("):", "🙁"),
        (":'(", "😢"),
        (":/", "😕"),
        (":|", "😐"),
        ("D:", "😧"),
        (">:(", "😠"),
        ("T_T", "😭"),
        ("^_^", "😊"),
        ("o_O", "😳"),
        ("-_-", "😑"),
        ("\\o/", "🙌"),
    ],
)
def test_an_emoticon_is_the_emoji_that_it_stands_for(text: str, emoji: str) -> None:
    assert spelt(text) == [emoji]
    assert spelt(f"well {text} then") == ["well", emoji, "then"]
    assert spelt(f"{text} {text}") == [emoji, emoji]


@pytest.mark.parametrize("text", ["10:30", "RT @ann: news", "a:b", "note (old): new", "x=3", "co-op", "f/o", "re:Done"])
def test_what_only_looks_like_an_emoticon_stays(text: str) -> None:
    assert spell_out(pl.Series([text])).to_list() == [text]


def test_emoji_stand_alone_without_skin_and_variant() -> None:
    assert spelt("great😀😀👍🏽ok ❤️") == ["great", "😀", "😀", "👍", "ok", "❤"]


def test_signs_of_phones_are_those_of_keyboards() -> None:
    assert spelt("don’t “stop”…now—please") == ["don't", "stop", "now", "please"]


def test_letters_of_other_scripts_stay() -> None:
    assert spelt("naïve привет 東京") == ["naïve", "привет", "東京"]


@pytest.fixture(scope="module")
def written() -> list[str]:
    """Texts in which the signs of all rules, and letters of both cases in and beyond ASCII, come in any order."""
    signs = [
        *":;=8xXdDpPoO0tT()[]{}<>3/\\|*^~-_.'`!@# \t\r\n",
        "’",
        "“",
        "…",
        "❤️",
        "👍🏽",
        "é",
        "日",
        "İ",
        "ſ",
        "http://",
        "WWW.",
        "a",
    ]
    chance = random.Random(1)
    return ["".join(chance.choices(signs, k=chance.randrange(30))) for _ in range(3_000)]


def test_one_text_is_spelt_as_in_a_column(written: list[str]) -> None:
    column = spell_out(pl.Series(written)).to_list()
    assert [spell_out_one(text) for text in written] == column
    assert sum(before != after for before, after in zip(written, column, strict=True)) > 1_000


def test_a_few_texts_have_the_words_that_they_have_in_a_column(written: list[str]) -> None:
    column = hash_words(pl.Series(written))
    few = [hash_words(pl.Series(written[first : first + 50])) for first in range(0, len(written), 50)]
    np.testing.assert_array_equal(np.concatenate([words.hashes for words in few]), column.hashes)
    np.testing.assert_array_equal(np.concatenate([words.is_shouted for words in few]), column.is_shouted)
    np.testing.assert_array_equal(np.concatenate([words.exclamations for words in few]), column.exclamations)
