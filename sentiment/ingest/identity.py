"""What makes two texts the same text: the normalised form, its key, and the split that follows from the key."""

from __future__ import annotations

import numpy as np
import polars as pl

from sentiment.ingest.text import _strip_emoticons
from sentiment.model import hashing
from sentiment.model.compilation import compiled
from sentiment.model.words import mix_compiled

_ROWS_A_SLICE = 1 << 15


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


def _letters_and_digits() -> np.ndarray:
    table = np.full(256, _SPACE)
    for byte in b"abcdefghijklmnopqrstuvwxyz0123456789":
        table[[byte, ord(chr(byte).upper())]] = byte
    return table


_SPACE = np.uint8(ord(" "))
_ONE = np.uint64(1)
_HASH_MULTIPLIER = np.uint64(hashing.MULTIPLIER)
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
    joined = np.frombuffer(plain.str.join("\n").to_arrow().buffers()[2], dtype=np.uint8)
    keys, has_words = np.empty(len(texts), dtype=np.uint64), np.empty(len(texts), dtype=bool)
    _hash_words(joined, ends, _LETTERS_AND_DIGITS, keys, has_words)
    return keys, has_words


@compiled
def _hash_words(
    written: np.ndarray, ends: np.ndarray, letters: np.ndarray, keys: np.ndarray, has_words: np.ndarray
) -> None:
    """`hashing.hash_spans` of the letters and digits of each text, with one space between words.

    Args:
        written: uint8: texts in ASCII, one byte between two.
        ends: int64, shape (rows,): where each ends, that byte included.
    """
    first = 0
    for row in range(len(ends)):
        total, power, is_behind_word, has_space = np.uint64(0), _ONE, False, False
        for place in range(first, ends[row] - 1):
            byte = letters[written[place]]
            if byte == _SPACE:
                has_space = is_behind_word
                continue
            if has_space:
                total += (np.uint64(_SPACE) + _ONE) * power
                power *= _HASH_MULTIPLIER
            total += (np.uint64(byte) + _ONE) * power
            power *= _HASH_MULTIPLIER
            is_behind_word, has_space = True, False
        keys[row], has_words[row] = mix_compiled(total), is_behind_word
        first = ends[row]


HOLDOUT_ONE_IN = 20


def split_of(text_keys: pl.Series) -> pl.Series:
    """`train` or `holdout` for each int64 text key: 5 % of the keys are always held out."""
    is_holdout = pl.Series("split", text_keys.to_numpy().view(np.uint64) % HOLDOUT_ONE_IN == 0)
    return is_holdout.replace_strict({True: "holdout", False: "train"}, return_dtype=pl.String)
