"""How texts are wrapped in their column: as they are, as Python writes bytes, or with the line breaks of HTML.

Scripts that write `text.encode()` into a CSV leave `b'caf\\xc3\\xa9'` there, and reviews are often cut out of web pages.
Both are seen in the whole column or not at all: one text that looks so is left as its author wrote it.
"""

from __future__ import annotations

import ast
from typing import Literal

import polars as pl

from sentiment.ingest.text import decode

TextForm = Literal["plain", "bytes", "html breaks"]
SENTENCES: dict[TextForm, str] = {
    "bytes": "texts are bytes as Python writes them, and are decoded",
    "html breaks": "<br> is read as a line break",
}
_LITERAL = r"""(?s)^b(?:'.*'|".*")$"""
_BREAK = r"(?i)<br\s*/?>"
_LEAST_LITERALS = 0.9
_LEAST_BREAKS = 0.05


def find_text_form(sample: pl.Series) -> TextForm:
    """The form that a sample of a column has."""
    given = sample.cast(pl.String).str.strip_chars()
    given = given.filter((given != "").fill_null(False))
    if given.is_empty():
        return "plain"
    if _share(given, _LITERAL) >= _LEAST_LITERALS:
        return "bytes"
    return "html breaks" if _share(given, _BREAK) >= _LEAST_BREAKS else "plain"


def _share(texts: pl.Series, pattern: str) -> float:
    return float(texts.str.contains(pattern).mean())  # type: ignore[arg-type]


def unwrap(texts: pl.Series, form: TextForm) -> pl.Series:
    """The texts themselves; what is not wrapped stays as it is."""
    if form == "html breaks":
        return texts.str.replace_all(rf"(?:{_BREAK}[ \t]*)+", "\n")
    if form == "bytes":
        return pl.Series(texts.name, [_literal(text) for text in texts], dtype=pl.String)
    return texts


def _literal(text: str | None) -> str | None:
    stripped = (text or "").strip()
    if not stripped.startswith(("b'", 'b"')):
        return text
    try:
        value = ast.literal_eval(stripped)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text
    return decode(value) if isinstance(value, bytes) else text
