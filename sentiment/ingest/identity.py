"""What makes two texts the same text: the normalised form, its key, and the split that follows from the key."""

from __future__ import annotations

import numpy as np
import polars as pl

from sentiment.ingest.text import _strip_emoticons
from sentiment.model import hashing

_ROWS_A_SLICE = 1 << 15
_ROWS_IN_CACHE = 1 << 12


def normalise(texts: pl.Series) -> pl.Series:
    """The part of each text that makes it the same tweet as another.

    Lower case, without label emoticons, links and mentions; everything that is no letter or number is one space. Where
    nothing is left (only emoji, say), the lower-cased text with its white space folded is used.

    Args:
        texts: strings without nulls.
    """
    if texts.is_empty():
        return texts
    lowered = pl.col("text").str.to_lowercase()
    words = (
        lowered.str.replace_all(r"(?:https?://|www\.)\S*|@\w+", " ")
        .str.replace_all(r"[^\p{L}\p{N}]+", " ")
        .str.strip_chars(" ")
    )
    folded = lowered.str.replace_all(r"\s+", " ").str.strip_chars()
    slices = _strip_emoticons(texts).alias("text").to_frame().iter_slices(_ROWS_A_SLICE)
    # A column's expressions run on one core; slices run on all of them.
    normalised = pl.concat(pl.collect_all([rows.lazy().select("text", words=words) for rows in slices]))
    rows = (normalised["words"] == "").arg_true()
    replacement = normalised.select(pl.col("text").gather(rows)).select(folded).to_series()
    return normalised["words"].scatter(rows, replacement).alias(texts.name)


def text_key(texts: pl.Series) -> pl.Series:
    """The stable hash of each normalised text, Int64 (DuckDB's bigint). Strings without nulls.

    Texts in ASCII, 99 in 100, are normalised as bytes, a third of the cost; the others by `normalise`, with the same keys.
    """
    keys = np.empty(len(texts), dtype=np.uint64)
    is_ascii = (texts.str.len_bytes() == texts.str.len_chars()).to_numpy()
    rows = np.flatnonzero(is_ascii)
    keys[rows], has_words = _ascii_keys(texts.gather(rows))
    others = np.concatenate([np.flatnonzero(~is_ascii), rows[~has_words]])
    keys[others] = hashing.hash_strings(normalise(texts.gather(others)))
    return pl.Series(texts.name, keys.view(np.int64))


def _letters_and_digits() -> bytes:
    table = bytearray(b" " * 256)
    for byte in b"abcdefghijklmnopqrstuvwxyz0123456789":
        table[byte] = byte
        table[ord(chr(byte).upper())] = byte
    return bytes(table)


_LETTERS_AND_DIGITS = _letters_and_digits()


def _ascii_keys(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Keys of texts in ASCII, uint64, and which of them have words; the others' keys mean nothing. Both (rows,)."""
    if texts.is_empty():
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=bool)
    plain = _strip_emoticons(texts)
    rows = plain.str.contains_any(["@", "http", "www."], ascii_case_insensitive=True).arg_true()
    plain = plain.scatter(rows, plain.gather(rows).str.replace_all(r"(?i:https?://|www\.)\S*|@\w+", " "))
    ends = np.cumsum(plain.str.len_bytes().to_numpy().astype(np.int64) + 1)
    # The joined text's own memory: as a Python string it would be copied and checked twice more.
    joined = plain.str.join("\n").to_arrow().buffers()[2].to_pybytes() + b"\n"
    buffer = np.frombuffer(joined.translate(_LETTERS_AND_DIGITS), dtype=np.uint8)
    keys, has_words = np.empty(len(texts), dtype=np.uint64), np.empty(len(texts), dtype=bool)
    for first in range(0, len(texts), _ROWS_IN_CACHE):
        part = slice(first, first + _ROWS_IN_CACHE)
        origin = int(ends[first - 1]) if first else 0
        keys[part], has_words[part] = _keys_of_words(buffer[origin : int(ends[part][-1])], ends[part] - origin)
    return keys, has_words


def _keys_of_words(buffer: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keys of texts that hold letters, digits and spaces, each with a space behind it; and which of them have words."""
    is_space = buffer == ord(" ")
    # One space stays behind each word, so a text with words ends with the one space that its key leaves out.
    is_kept = ~is_space
    is_kept[1:] |= ~is_space[:-1]
    kept_ends = np.cumsum(is_kept, dtype=np.int64)[ends - 1]
    kept_starts = np.concatenate([np.zeros(1, dtype=np.int64), kept_ends[:-1]])
    has_words = kept_ends > kept_starts
    keys = hashing.hash_spans(buffer[is_kept], kept_starts, np.maximum(kept_ends - 1, kept_starts))
    return keys, has_words


HOLDOUT_ONE_IN = 20


def split_of(text_keys: pl.Series) -> pl.Series:
    """`train` or `holdout` for each int64 text key: 5 % of the keys are always held out."""
    is_holdout = pl.Series("split", text_keys.to_numpy().view(np.uint64) % HOLDOUT_ONE_IN == 0)
    return is_holdout.replace_strict({True: "holdout", False: "train"}, return_dtype=pl.String)
