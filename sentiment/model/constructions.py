"""Constructions of several words that change what their words do, settled before values are negated: for whole batches.

Each is found by a word that the lexicon knows (`FOUND_BY`, and those that concede), so one compiled pass over these will do.
"""

from __future__ import annotations

import functools

import numpy as np
import polars as pl

from .compilation import compiled
from .composition import (
    COMPARES,
    CONCEDES,
    NEGATED,
    NEGATES,
    NONE,
    STOPS,
    TURNS,
    Marks,
    clause_begin,
    clause_end,
    ends_clause,
)
from .features import Features
from .words import hash_words

FOUND_BY = frozenset({"no", "too", "less", "though", "tho", "cant", "cannot", "couldnt"})
"""Besides words that concede."""
_WORDS = ["no", "as", "too", "to", "for", "though", "tho", "even", "less", "enough", "cant", "cannot", "couldnt"]
_NO, _AS, _TOO, _TO, _FOR, _THOUGH, _THO, _EVEN, _LESS, _ENOUGH, _CANT, _CANNOT, _COULDNT = range(len(_WORDS))
_WITHIN = 4
"""How many words after `too` or `can't` may belong to a construction with it."""


def settle_constructions(marks: Marks, features: Features, positions: np.ndarray, value_at: np.ndarray) -> None:
    """Give the words of constructions the roles that they have together. Changes `marks` and `value_at`.

    - `no` before a comparative and a noun (`no better place`) does not negate it.
    - `to` and `for` negate what follows, where `too` is two or three words before (`too tired to enjoy it`).
    - `less` at the end of its clause, or before `than`, negates what is before it (`i like it less`).
    - `can't` negates nothing in `can't praise it enough`.
    - A `though` at the end of its clause concedes what is before that clause.
    - A concession that comes first and has no comma ends after its first word of value, since the main clause must follow.

    Args:
        positions: int64, ascending: words that constructions are found by.
        value_at: float32, shape (positions of the batch + 1,).
    """
    _settle(marks, features.hashes, features.offsets, positions, value_at, _hashes())


def settle_equatives(marks: Marks, features: Features, positions: np.ndarray) -> None:
    """What follows the second `as` of `as good as` is compared with, as after `than`. Changes `marks`.

    Args:
        positions: int64: words with a value.
    """
    hashes, equates = features.hashes, _hashes()[_AS]
    seconds = positions[hashes[positions - 1] == equates] + 1
    seconds = seconds[seconds < len(hashes)]
    seconds = seconds[hashes[seconds] == equates]
    marks.roles[seconds] = CONCEDES
    marks.flags[seconds] |= COMPARES


@functools.cache
def _hashes() -> np.ndarray:
    return hash_words(pl.Series(_WORDS)).hashes


@compiled
def _settle(
    marks: Marks,
    hashes: np.ndarray,
    offsets: np.ndarray,
    positions: np.ndarray,
    value_at: np.ndarray,
    words: np.ndarray,
) -> None:
    roles, row = marks.roles, 0
    for position in positions:
        while offsets[row + 1] <= position:
            row += 1
        word, first, following, end = hashes[position], offsets[row] + 1, position + 1, offsets[row + 1]
        is_last = following == end or ends_clause(roles[following])
        if word == words[_NO]:
            has_noun = position + 2 < end and not ends_clause(roles[position + 2])
            if has_noun and marks.flags[following] & COMPARES:
                roles[position], value_at[position] = NONE, 0
        elif word == words[_TOO]:
            _negate_purpose(roles, hashes, following, clause_end(roles, following, end), words)
        elif word == words[_LESS] and is_last:
            _negate_before(roles, value_at, position, first)
        elif word == words[_CANT] or word == words[_CANNOT] or word == words[_COULDNT]:
            if _is_never_enough(hashes, value_at, following, clause_end(roles, following, end), words):
                roles[position], value_at[position] = NONE, 0
        elif (word == words[_THOUGH] or word == words[_THO]) and (following == end or roles[following] == STOPS):
            roles[position] = NONE
            begin = clause_begin(roles, position, first)
            if begin > first and roles[begin - 1] == STOPS:
                roles[begin - 1] = TURNS
        elif roles[position] == CONCEDES and not marks.flags[position] & COMPARES:
            is_first = position == first or roles[position - 1] == STOPS or hashes[position - 1] == words[_EVEN]
            if is_first:
                _end_concession(roles, value_at, following, end)


@compiled
def _negate_purpose(roles: np.ndarray, hashes: np.ndarray, first: int, end: int, words: np.ndarray) -> None:
    for position in range(first + 1, min(first + _WITHIN - 1, end)):
        if hashes[position] == words[_TO] or hashes[position] == words[_FOR]:
            roles[position] = NEGATES
            return


@compiled
def _negate_before(roles: np.ndarray, value_at: np.ndarray, less: int, first: int) -> None:
    """Let the word before the verb negate instead, since what negates comes first; without one, reverse the verb itself."""
    for position in range(less - 1, max(less - _WITHIN, first - 1), -1):
        if ends_clause(roles[position]):
            return
        if value_at[position] != 0:
            roles[less] = NONE
            if position > first and roles[position - 1] == NONE:
                roles[position - 1] = NEGATES
            else:
                value_at[position] *= NEGATED
            return


@compiled
def _is_never_enough(hashes: np.ndarray, value_at: np.ndarray, first: int, end: int, words: np.ndarray) -> bool:
    """Whether `enough` belongs to the verb after `can't`, not to an adjective (`can't buy good enough shoes`)."""
    for position in range(first, min(first + _WITHIN, end)):
        if hashes[position] == words[_ENOUGH]:
            return position <= first + 1 or value_at[position - 1] == 0
    return False


@compiled
def _end_concession(roles: np.ndarray, value_at: np.ndarray, first: int, end: int) -> None:
    if clause_end(roles, first, end) < end:
        return
    for position in range(first, end):
        if value_at[position] != 0:
            if position + 1 < end and roles[position + 1] == NONE:
                roles[position + 1] = STOPS
            return
