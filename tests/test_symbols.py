"""Emoticons and emoji are words, and typographic signs are those of a keyboard."""

from __future__ import annotations

import polars as pl
import pytest

from sentiment.symbols import spell_out


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
