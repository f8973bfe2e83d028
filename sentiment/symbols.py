"""Emoticons and emoji as words of their own, and the punctuation of phones as that of keyboards.

An emoticon becomes the emoji that it stands for, so both share what is known of them; each emoji stands alone, whatever
was written against it, without its skin tone and variant. Curly quotes and apostrophes become straight ones, so that
don’t is don't, and other typographic signs divide words like any sign.

Each rule names its characters, none rests on a library's idea of a letter or an emoji. Only rows that may hold something
are looked at closer: one in twenty of Sentiment140, from which most emoticons were removed.
"""

from __future__ import annotations

import polars as pl

_EYES, _NOSE = "[:;=]['`]?", "[-o^~]?"
_NEXT_TO_NOTHING = r"(?:^|[ \t\r\n])"
_MAY_HOLD_SYMBOL = (
    r"[^\x00-\x7F]|<[/3]|>[._]<|\^[_.-]*\^|\\o/|[xX]D|[-oO0tT][_.]+[-oO0tT]"
    rf"|{_EYES}[-^o~]?[)(\[\]{{}}DpPo0O/\\|*]|[()dD]{_NOSE}['`]?[:=;]"
)
# In this order: what one rule takes another does not see.
_EMOTICONS = (
    (r"</3+", "💔"),
    (r"<3+", "❤"),
    (r">[:=][-^]?[(\[{]+", "😠"),
    (r">[._]+<", "😣"),
    (r"[:=]['`][-o^]?[(\[{]+", "😢"),
    (r"[:=]['`][-o^]?[)\]}D]+", "😂"),
    (rf"[:=]{_NOSE}[)\]}}]+", "🙂"),
    (rf";{_NOSE}[)\]}}D]+", "😉"),
    (rf"[:=]{_NOSE}[(\[{{]+", "🙁"),
    (r"[:=;][-^']?D+(?-u:\b)|(?-u:\b)[xX]D+(?-u:\b)", "😃"),
    (r"[:=;][-^']?[pP](?-u:\b)", "😛"),
    (r"[:=;][-^']?\*+", "😘"),
    (r"[:=][-^']?[/\\]+", "😕"),
    (r"[:=][-^']?\|+", "😐"),
    (r"[:=]-?[oO0](?-u:\b)", "😮"),
    (r"\^[_.-]*\^", "😊"),
    (r"\\o/", "🙌"),
    (r"(?-u:\b)[tT][_.]+[tT](?-u:\b)", "😭"),
    (r"(?-u:\b)[oO0][_.]+[oO0](?-u:\b)", "😳"),
    (r"-[_.]+-", "😑"),
    (rf"{_NEXT_TO_NOTHING}\(+{_NOSE}['`]?[:=;](?-u:\B)", "🙂"),
    (rf"{_NEXT_TO_NOTHING}\)+{_NOSE}['`]?[:=;](?-u:\B)", "🙁"),
    (rf"{_NEXT_TO_NOTHING}D[-^]?['`]?[:=;](?-u:\B)", "😧"),
)
_APOSTROPHES = r"[\x{2018}\x{2019}\x{201B}\x{02BC}\x{FF07}]"
_VARIANTS = r"[\x{FE0E}\x{FE0F}\x{200D}\x{1F3FB}-\x{1F3FF}]"
_SIGNS = r"[\x{00A0}-\x{00BF}\x{2000}-\x{206F}\x{3000}-\x{303F}]"
_EMOJI = r"[\x{20E3}\x{2100}-\x{2BFF}\x{1F000}-\x{1FAFF}]"


def spell_out(texts: pl.Series) -> pl.Series:
    """Make words of emoticons and emoji, and keyboard signs of typographic ones.

    Args:
        texts: String, shape (rows,), without nulls and links.
    """
    rows = texts.str.contains(_MAY_HOLD_SYMBOL).arg_true()
    if rows.is_empty():
        return texts
    held = pl.col("text")
    for pattern, emoji in _EMOTICONS:
        held = held.str.replace_all(pattern, f" {emoji} ")
    held = held.str.replace_all(_APOSTROPHES, "'").str.replace_all(_VARIANTS, "")
    held = held.str.replace_all(_SIGNS, " ").str.replace_all(_EMOJI, " $0 ")
    spelt = texts.gather(rows).to_frame("text").select(held).to_series()
    return texts.clone().scatter(rows, spelt)
