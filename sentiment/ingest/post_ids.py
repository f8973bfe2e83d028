"""Ids for posts whose source gives none that is a tweet's: stable numbers of 63 bits, the same on every machine.

A tweet's id is a number below 2^62 and stays what it is. The id of another network, or one that belongs to a source
of a name of its own, is hashed with that name; a post without any id is known by its content: text, user, time and
query, and by how often the same content came before in its file. So the same file twice changes nothing, and two
people who wrote the same are two posts. All of these ids lie from 2^62 on and meet no tweet's.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sentiment.model import hashing

_BITS = np.uint64((1 << 62) - 1)
_FIRST = np.uint64(1 << 62)
_BETWEEN = "\x1f"


def id_of_string(source: str | None, ids: pl.Series) -> pl.Series:
    """A stable id for each id that a source gave; strings without nulls. Int64."""
    return _as_ids(hashing.hash_strings(_prefixed(source, ids)))


def content_keys(source: str | None, records: pl.DataFrame) -> np.ndarray:
    """A hash of the content of each record, uint64."""
    content = records.select(
        pl.concat_str(
            pl.col("text"),
            pl.col("user_name").fill_null(""),
            pl.col("posted_at").dt.epoch("us").cast(pl.String).fill_null(""),
            pl.col("query").fill_null(""),
            separator=_BETWEEN,
        )
    ).to_series()
    return hashing.hash_strings(_prefixed(source, content))


def id_of_content(keys: np.ndarray, seen: dict[int, int]) -> pl.Series:
    """A stable id for each content: its hash with the number of its earlier occurrences, which `seen` counts."""
    numbers = np.empty(len(keys), dtype=np.uint64)
    get = seen.get
    for row, key in enumerate(keys.tolist()):
        count = get(key, 0)
        numbers[row] = count
        seen[key] = count + 1
    return _as_ids(hashing.mix(keys + hashing.mix(numbers)))


def _prefixed(source: str | None, values: pl.Series) -> pl.Series:
    return values.to_frame("v").select(pl.concat_str(pl.lit((source or "") + _BETWEEN), "v")).to_series()


def _as_ids(hashes: np.ndarray) -> pl.Series:
    return pl.Series("tweet_id", ((hashes & _BITS) | _FIRST).astype(np.int64), dtype=pl.Int64)
