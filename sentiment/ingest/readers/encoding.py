"""Which encoding a file has, and its bytes as UTF-8 with `\\n` or `\\r\\n` at the ends of lines.

UTF-8 with stray bytes of windows-1252 needs no decision: `text.decode` reads each byte as what it is. UTF-16 and UTF-32 show by
their mark or by their zero bytes. What is left is text of which most letters are stray bytes: another encoding, which only a
person can name.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

import numpy as np

from sentiment.errors import InputError

UTF_8 = "utf-8"
# The longer marks first: UTF-32's begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MOST_STRAY = 0.3
_LEAST_ZEROS = 0.3


def find_encoding(head: bytes) -> str | None:
    """The encoding of a file that begins with `head`; None where most letters are stray bytes, so that nothing tells."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    values = np.frombuffer(head[: len(head) & ~1], dtype=np.uint8)
    if len(values) >= 4:
        zeros = (values.reshape(-1, 2) == 0).mean(axis=0)
        if zeros[1] > _LEAST_ZEROS and zeros[0] < 0.05 and _is_text(head, "utf-16-le"):
            return "utf-16-le"
        if zeros[0] > _LEAST_ZEROS and zeros[1] < 0.05 and _is_text(head, "utf-16-be"):
            return "utf-16-be"
    decoded = head.decode(UTF_8, errors="surrogateescape")
    stray = sum("\udc80" <= letter <= "\udcff" for letter in decoded)
    letters = stray + sum(letter.isalpha() for letter in decoded)
    return None if stray > 20 and stray > _MOST_STRAY * letters else UTF_8


def _is_text(head: bytes, encoding: str) -> bool:
    decoded = head[: len(head) & ~1].decode(encoding, errors="replace")
    return sum(letter.isprintable() or letter.isspace() for letter in decoded) > 0.95 * len(decoded)


def known_encoding(name: str) -> str:
    """The canonical name of an encoding that a user gave.

    Raises:
        InputError: Python does not know it.
    """
    try:
        found = codecs.lookup(name).name
    except LookupError:
        raise InputError(
            f"The encoding {name!r} is unknown. Expected is a name such as utf-8, cp1252, utf-16 or shift_jis."
        ) from None
    return {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": UTF_8}.get(found, found)


def ends_lines_with_cr(head: bytes, encoding: str) -> bool:
    """Whether the file ends its lines as old Macs did: a carriage return, and no line feed anywhere."""
    decoded = head.decode(encoding, errors="replace")
    return "\r" in decoded.rstrip("\r") and "\n" not in decoded


def as_utf8(pieces: Iterable[bytes], encoding: str, *, has_cr_ends: bool) -> Iterator[bytes]:
    """The pieces in UTF-8, without a byte order mark, with line feeds at the ends of lines."""
    is_first = True
    decoder = None if encoding == UTF_8 else codecs.getincrementaldecoder(encoding)(errors="replace")
    for piece in pieces:
        part = piece if decoder is None else decoder.decode(piece).encode(UTF_8, errors="replace")
        if is_first:
            part = part.removeprefix(codecs.BOM_UTF8)
            is_first = False
        yield part.replace(b"\r", b"\n") if has_cr_ends else part
    if decoder is not None and (rest := decoder.decode(b"", final=True)):
        yield rest.encode(UTF_8)
