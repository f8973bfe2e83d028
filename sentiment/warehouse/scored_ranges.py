"""Finds what a model version has not scored, at a cost that follows what is new, not the size of the table.

Every change of a tweet takes the next change number, and the ledger `scored_ranges` holds the ranges of these numbers that a
version has scored. Only tweets outside of these ranges are read: after the first run, the tweets since the last one.
An anti-join leaves out those that have a prediction: a range of days may have been scored on its own, which the ledger does
not record.
"""

from __future__ import annotations

from typing import NamedTuple

from sentiment.warehouse.session import Warehouse

_PIECE = 1_000_000


class Piece(NamedTuple):
    """A range of change numbers, with the tweets in it."""

    first_number: int
    end_number: int
    """The first number behind it."""
    count_rows: int
    least: int
    """Least tweet_id."""
    greatest: int
    """Greatest tweet_id."""


def unscored_pieces(warehouse: Warehouse, model_version: int, *, rows: int = _PIECE, after: int = 0) -> list[Piece]:
    """Cut the ranges that a version has not scored into pieces of about `rows` tweets, in order, without gaps.

    A piece has fewer than twice as many; pieces may hold tweets that have a prediction already.

    Args:
        after: only from this change number on.
    """
    pieces: list[Piece] = []
    for first, end in warehouse.run("steps/scoring/select_unscored_ranges", model_version=model_version).fetchall():
        if end > after:
            pieces += _cut(warehouse, max(first, after), end, rows)
    return pieces


def count_unscored(warehouse: Warehouse, model_version: int) -> int:
    """Tweets that a version has not scored."""
    return sum(
        warehouse.value("steps/scoring/count_unscored", model_version=model_version, **piece._asdict())
        for piece in unscored_pieces(warehouse, model_version)
    )


def _cut(warehouse: Warehouse, first: int, end: int, rows: int) -> list[Piece]:
    found = warehouse.run("steps/scoring/select_shards", first_number=first, end_number=end, width=rows).fetchall()
    pieces: list[Piece] = []
    start, count, least, greatest = first, 0, 2**63 - 1, 0
    for number, (_, count_rows, low, high) in enumerate(found, start=1):
        count, least, greatest = count + count_rows, min(least, low), max(greatest, high)
        is_last = number == len(found)
        if count >= rows or is_last:
            # A piece ends where the next one with tweets begins, so that the ledger has no holes.
            behind = end if is_last else found[number][0]
            pieces.append(Piece(start, behind, count, least, greatest))
            start, count, least, greatest = behind, 0, 2**63 - 1, 0
    return pieces
