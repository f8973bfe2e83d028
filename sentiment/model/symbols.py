"""Emoticons and emoji as words of their own, and the punctuation of phones as that of keyboards.

An emoticon becomes the emoji it represents, so both share what is known of them; each emoji becomes a word of its own,
without its skin tone and variant. Curly quotes and apostrophes become straight ones, so that
don’t is don't, and other typographic signs divide words like any sign.

Each rule names its characters, none rests on a library's idea of a letter or an emoji. Only rows that may hold something
are looked at closer: one in twenty of Sentiment140, from which most emoticons were removed.

A column's rules cost polars 3 ms however few its rows are, and Python 35 microseconds a row: so a handful of texts, as they
come to the API, goes through Python's own regular expressions. What the rules are written in means the same to both.
"""

from __future__ import annotations

import re

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
_RULES = (
    *((pattern, f" {emoji} ") for pattern, emoji in _EMOTICONS),
    (_APOSTROPHES, "'"),
    (_VARIANTS, ""),
    (_SIGNS, " "),
    (_EMOJI, " $0 "),
)
_FEW_ROWS = 100


def in_python(pattern: str) -> re.Pattern[str]:
    """A pattern of polars as one of Python: what names its characters and the borders of ASCII words means the same."""
    pattern = pattern.replace(r"(?-u:\b)", r"\b").replace(r"(?-u:\B)", r"\B")
    return re.compile(re.sub(r"\\x\{(\w+)\}", lambda match: chr(int(match[1], 16)), pattern), re.ASCII)


_MAY_HOLD_SYMBOL_IN_PYTHON = in_python(_MAY_HOLD_SYMBOL)
_RULES_IN_PYTHON = [(in_python(pattern), replacement.replace("$0", r"\g<0>")) for pattern, replacement in _RULES]
_COUNT_FOR_ASCII = len(_EMOTICONS)


def spell_out(texts: pl.Series) -> pl.Series:
    """Make words of emoticons and emoji, and keyboard signs of typographic ones.

    Args:
        texts: String, shape (rows,), without nulls and links.
    """
    rows = texts.str.contains(_MAY_HOLD_SYMBOL).arg_true()
    if rows.is_empty():
        return texts
    held = texts.gather(rows)
    if len(rows) <= _FEW_ROWS:
        spelt = pl.Series([_spell_out_held(text) for text in held], dtype=pl.String)
    else:
        rules = pl.col("text")
        for pattern, replacement in _RULES:
            rules = rules.str.replace_all(pattern, replacement)
        spelt = held.to_frame("text").select(rules).to_series()
    return texts.clone().scatter(rows, spelt)


def spell_out_one(text: str) -> str:
    """`spell_out` of one text."""
    return _spell_out_held(text) if _MAY_HOLD_SYMBOL_IN_PYTHON.search(text) else text


def _spell_out_held(text: str) -> str:
    for pattern, replacement in _RULES_IN_PYTHON[:_COUNT_FOR_ASCII]:
        text = pattern.sub(replacement, text)
    if not text.isascii():  # as it is where no emoticon was found after all
        for pattern, replacement in _RULES_IN_PYTHON[_COUNT_FOR_ASCII:]:
            text = pattern.sub(replacement, text)
    return text
