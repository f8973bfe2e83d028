"""One test a rule on text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentiment.ingest.identity import normalise, text_key
from sentiment.ingest.text import decode, label_by_emoticon, resolve_entities
from sentiment.model.hashing import hash_strings

# Dense in what emoticons are made of, so that they meet, nest and overlap.
emoticon_soup = st.text(alphabet=":=-() DPp\n\tRTab1<&;3", max_size=25)
tweets = st.one_of(
    emoticon_soup,
    st.text(max_size=40),
    st.lists(
        st.sampled_from([":)", ":(", ": )", "=)", ":D", ":P", "RT", "(a", "8:)", "@ann", "www.x.y", "ok", "😀"])
    ).map(" ".join),
)


def one(function: Callable[[pl.Series], pl.Series], text: str) -> str:
    return function(pl.Series([text], dtype=pl.String))[0]


def label(text: str) -> str | None:
    return label_by_emoticon(pl.Series([text]))[1][0]


class TestDecode:
    @settings(deadline=None)
    @given(st.text())
    def test_valid_utf8_stays(self, text: str) -> None:
        assert decode(text.encode()) == text

    @settings(deadline=None)
    @given(st.binary())
    def test_no_byte_is_refused(self, data: bytes) -> None:
        decode(data).encode()

    @pytest.mark.parametrize(
        ("byte", "character"),
        [
            (0xE9, "é"),
            (0x93, "“"),
            (0x80, "€"),
            (0x81, "\x81"),
            (0x8D, "\x8d"),
            (0x8F, "\x8f"),
            (0x90, "\x90"),
            (0x9D, "\x9d"),
        ],
    )
    def test_a_stray_byte_is_windows_1252_as_browsers_read_it(self, byte: int, character: str) -> None:
        assert decode(b"a" + bytes([byte]) + b"b") == f"a{character}b"

    def test_whole_sequences_stay_beside_a_damaged_one(self) -> None:
        assert decode("你好".encode() + b" \xe4\xbd ok") == "你好 ä½ ok"

    def test_encoded_surrogates_are_stray_bytes(self) -> None:
        assert decode(b"\xed\xa0\x80") == "í\xa0€"


class TestEntities:
    @pytest.mark.parametrize(
        ("text", "resolved"),
        [
            ("I &lt;3 you &amp; me", "I <3 you & me"),
            ("&amp;lt;3", "<3"),
            ("&#39;t &#x263A; &quot;", "'t ☺ \""),
            ("?a=1&copy=2&amp", "?a=1&copy=2&amp"),
            ("&copyright; &notathing;", "&copyright; &notathing;"),
            ("&#1; &#99999999999999999999;", "&#1; &#99999999999999999999;"),
            ("no entity; & nothing", "no entity; & nothing"),
        ],
    )
    def test_only_complete_entities_are_resolved(self, text: str, resolved: str) -> None:
        assert one(resolve_entities, text) == resolved

    def test_rows_keep_their_places(self) -> None:
        texts = pl.Series("text", ["a", "&gt;", None, "b"])
        assert resolve_entities(texts).to_list() == ["a", ">", None, "b"]
        assert texts[1] == "&gt;"

    @settings(deadline=None)
    @given(st.text(alphabet="&#xX;ltgamp0139é "))
    def test_nothing_fails(self, text: str) -> None:
        one(resolve_entities, text).encode()


class TestNormalise:
    @pytest.mark.parametrize(
        ("text", "normalised"),
        [
            ("Good DAY", "good day"),
            ("@ann see http://x.y/z?a=1 and www.b.c now", "see and now"),
            ("well...  it's -- ok!!", "well it s ok"),
            ("ÉTÉ 你好 ٣", "été 你好 ٣"),
            ("great :D", "great"),
            ("😀 😀", "😀 😀"),
            (" @Ann \n http://x.y ", "@ann http://x.y"),
            ("@ann :)", "@ann"),
            (":) :)", ":) :)"),
        ],
    )
    def test_rule(self, text: str, normalised: str) -> None:
        assert one(normalise, text) == normalised

    def test_different_emoji_are_different_tweets(self) -> None:
        assert text_key(pl.Series(["😀", "😢", "😀 "])).n_unique() == 2

    def test_an_empty_column_gives_an_empty_column(self) -> None:
        assert text_key(pl.Series("text", [], dtype=pl.String)).to_list() == []

    def test_keys_never_change(self) -> None:
        keys = text_key(pl.Series(["@ann I am so happy!", "😀"]))
        assert keys.dtype == pl.Int64
        assert keys.to_list() == [3403044427846862627, 7643048962877823945]

    def test_more_rows_than_a_slice_keep_their_order(self) -> None:
        texts = pl.Series([f"Tweet {number}!" for number in range(70_000)])
        assert normalise(texts).to_list() == [f"tweet {number}" for number in range(70_000)]


class TestEmoticons:
    @pytest.mark.parametrize("emoticon", [":)", ":-)", ": )", ":D", "=)"])
    def test_positive(self, emoticon: str) -> None:
        assert label(f"what a day {emoticon} yes") == "positive"

    @pytest.mark.parametrize("emoticon", [":(", ":-(", ": ("])
    def test_negative(self, emoticon: str) -> None:
        assert label(f"what a day {emoticon} no") == "negative"

    @pytest.mark.parametrize(
        "text",
        [
            "nothing here",
            "both :) and :(",
            "RT @ann so true :)",
            "tongue :P :)",
            ":) :)",
            " :( ",
            "http://example.org/a",
            "see you :Dave",
            "(see p.8:)",
            "(as in 3:)",
        ],
    )
    def test_unlabelled_tweets_stay_as_they_are(self, text: str) -> None:
        texts, labels = label_by_emoticon(pl.Series([text]))
        assert (texts[0], labels[0]) == (text, None)

    @pytest.mark.parametrize(
        ("text", "stripped"),
        [
            ("so happy :)", "so happy"),
            ("so happy:) today", "so happy today"),
            (":D:D yes :-) :))", "yes"),
            ("(so happy :)", "(so happy"),
            ("@ann ::)) )", "@ann"),
        ],
    )
    def test_the_emoticon_is_stripped_where_it_labels(self, text: str, stripped: str) -> None:
        assert label_by_emoticon(pl.Series([text]))[0][0] == stripped

    def test_rows_keep_their_places(self) -> None:
        given_texts = pl.Series("text", ["a", "b :)", "c", "d :("])
        texts, labels = label_by_emoticon(given_texts)
        assert texts.to_list() == ["a", "b", "c", "d"]
        assert labels.to_list() == [None, "positive", None, "negative"]
        assert given_texts[1] == "b :)"

    @settings(deadline=None)
    @given(tweets)
    @example("a: :)) :D)")
    @example(":::)))D")
    def test_the_key_does_not_depend_on_the_emoticon(self, text: str) -> None:
        before = pl.Series([text])
        after, _ = label_by_emoticon(before)
        assert text_key(after).to_list() == text_key(before).to_list()

    @settings(deadline=None)
    @given(tweets)
    def test_a_labelled_tweet_holds_no_emoticon_and_is_not_blank(self, text: str) -> None:
        after, labels = label_by_emoticon(pl.Series([text]))
        if labels[0] is None:
            assert after[0] == text
        else:
            assert after[0].strip()
            assert label(after[0]) is None


@given(
    st.lists(
        st.one_of(st.text(max_size=60), st.text(alphabet="aB1 @:)(wW.htp/_-'\x00\x85é😀\n", max_size=40)), max_size=30
    )
)
def test_the_short_way_to_a_text_key_agrees_with_the_normalised_text(texts: list[str]) -> None:
    column = pl.Series("text", texts, dtype=pl.String)
    assert text_key(column).to_list() == hash_strings(normalise(column)).view(np.int64).tolist()
