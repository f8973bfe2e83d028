"""How words change what others mean: negation, degree, contrast, comparison and rhetorical questions, for whole batches.

A tweet has two words in the lexicon, so each step works on few positions and none loops over tweets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compilation import compiled
from .features import Features

NONE, NEGATES, INTENSIFIES, DAMPENS, TURNS, STOPS, CONCEDES, NEGATES_OR_ASKS = range(8)
"""What a word does to others. `NEGATES_OR_ASKS`: a negated auxiliary, such as `isn't`."""
NEGATED = np.float32(-0.74)
COMPARES, IS_UNIVERSAL, ASKS, REACHES_FAR = 64, 128, 256, 512
"""Flags of a word next to its role: a comparative such as `better`, or `than`; a negator without exception, such as `never`;
a question mark, or a word that begins a question; a negator of a whole clause, such as `don't think`."""
_DEGREE = np.float32(0.293)
_FADING = np.array([1.0, 0.95, 0.9], dtype=np.float32)
_FARTHEST = 5
"""How far `don't think` reaches: past the subject and verb of the clause that it governs."""
_BEFORE_TURN, _BEHIND_TURN = 0.5, 1.5
_COMPLAINT_CLAUSE = np.float32(0.25)
_ZERO = np.float32(0)


@compiled
def ends_clause(role: int) -> bool:
    """Whether a word of this role is not part of the clause before it."""
    return role in (STOPS, TURNS, CONCEDES)


class Marks(NamedTuple):
    """What each position of a batch does to others."""

    roles: np.ndarray
    """uint8, shape (positions + 1,)."""
    flags: np.ndarray
    """int16, shape (positions + 1,)."""


def changes(roles: np.ndarray) -> np.ndarray:
    """Which words change what others mean."""
    return (roles != NONE) & (roles != STOPS)


def settle_questions(marks: Marks, features: Features) -> np.ndarray:
    """Decide which negated auxiliaries negate; returns those that do not. Changes `marks.roles`.

    `Isn't it lovely?` and `who doesn't love it?` ask for agreement: an auxiliary that begins a clause, or follows `who`,
    negates nothing if the clause ends with a question mark.

    Returns:
        int64, ascending: positions.
    """
    auxiliaries = np.flatnonzero(marks.roles == NEGATES_OR_ASKS)
    rows = np.searchsorted(features.offsets, auxiliaries, side="right") - 1
    before = auxiliaries - 1
    begins = (before == features.offsets[rows]) | (marks.roles[before] == STOPS) | (marks.flags[before] & ASKS > 0)
    stops = np.append(np.flatnonzero(marks.roles == STOPS), len(features.hashes))
    ends = stops[np.searchsorted(stops, auxiliaries)]
    is_rhetorical = begins & (marks.flags[ends] & ASKS > 0) & (ends < features.offsets[rows + 1])
    marks.roles[auxiliaries] = np.where(is_rhetorical, NONE, NEGATES)
    found: np.ndarray = auxiliaries[is_rhetorical]
    return found


@compiled
def apply_words_before(
    values: np.ndarray, marks: Marks, positions: np.ndarray, room: np.ndarray, by_clause: bool
) -> np.ndarray:
    """Negate, intensify and dampen values, in place, by the up to three words before, of the same row.

    Args:
        values: float32, shape (hits,).
        positions: int64, shape (hits,).
        room: int64, shape (hits,): words of the row up to and with this one.
        by_clause: contrast ends a clause, too, and what is a clause or a negation of its own is not negated; rules before
            `valence-v3` did not know that.

    Returns:
        int64, shape (hits,): how many words before the word that negates is; 0 for values that are not negated.
    """
    negators = np.zeros(len(values), dtype=np.int64)
    for hit in range(len(values)):
        position, is_negated, is_open, degree = positions[hit], False, True, _ZERO
        for distance in range(1, min(_FARTHEST + 1, room[hit])):
            role, flags = marks.roles[position - distance], marks.flags[position - distance]
            is_open = is_open and not (ends_clause(role) if by_clause else role == STOPS)
            if distance <= len(_FADING):
                if role == INTENSIFIES:
                    degree += _DEGREE * _FADING[distance - 1]
                elif role == DAMPENS:
                    degree -= _DEGREE * _FADING[distance - 1]
            elif not flags & REACHES_FAR:
                continue
            # "Never been better" is as good as it gets.
            is_superlative = marks.flags[position] & COMPARES and flags & IS_UNIVERSAL
            if role == NEGATES and is_open and not is_superlative:
                is_negated = not is_negated
                negators[hit] = distance
        values[hit] += np.sign(values[hit]) * degree
        own = marks.roles[position]
        if is_negated and not (by_clause and (own in (NEGATES, STOPS))):
            values[hit] *= NEGATED
        else:
            negators[hit] = 0
    return negators


def weigh_clauses(roles: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """How much each word counts: float32, shape (positions,). Words before a row's first `but` count less, those after it
    more; the clause that `although` or `than` begins counts less and the rest more."""
    weights = np.ones(int(offsets[-1]), dtype=np.float32)
    contrasts = np.flatnonzero((roles == TURNS) | (roles == CONCEDES))
    if len(contrasts) == 0:
        return weights
    rows, first = np.unique(np.searchsorted(offsets, contrasts, side="right") - 1, return_index=True)
    begins, contrasts, ends = offsets[rows], contrasts[first], offsets[rows + 1]
    concedes = (roles[contrasts] == CONCEDES)[:, None]
    clause_ends = np.append(np.flatnonzero(roles == STOPS), len(roles))
    stops = np.minimum(clause_ends[np.searchsorted(clause_ends, contrasts)], ends)
    # Each of these rows in three: before the contrast, its clause, and the rest.
    lengths = np.stack([contrasts - begins, stops - contrasts, ends - stops], axis=1)
    turned, conceded = (
        np.array(values, dtype=np.float32)
        for values in ((_BEFORE_TURN, _BEHIND_TURN, _BEHIND_TURN), (_BEHIND_TURN, _BEFORE_TURN, _BEHIND_TURN))
    )
    of_rows = np.zeros(len(offsets) - 1, dtype=bool)
    of_rows[rows] = True
    weights[np.repeat(of_rows, np.diff(offsets))] = np.repeat(np.where(concedes, conceded, turned), lengths.ravel())
    return weights


def discount_composed(
    learnt: np.ndarray, marks: Marks, offsets: np.ndarray, positions: np.ndarray, complaints: np.ndarray
) -> None:
    """Lower `learnt`, how much what was learnt of a word counts, where composition decides what it means.

    The n-grams are a sum, which cannot reverse: both words of `not horrible` were learnt from bad news, and negated complaints
    are too rare for the encoders. So neither word counts, and the others of the clause count a quarter. Nothing counts that
    was learnt of an intensifier before a word with a value, or of what comes after `than`: neither has a direction of its own.

    Args:
        learnt: float32, shape (positions,), changed.
        positions: int64, shape (hits,): words with a value.
        complaints: int64, shape (complaints, 2): of each negated complaint the word and its negator.
    """
    _discount(learnt, marks, offsets, positions, complaints, np.flatnonzero(marks.roles == CONCEDES))


@compiled
def _discount(
    learnt: np.ndarray,
    marks: Marks,
    offsets: np.ndarray,
    positions: np.ndarray,
    complaints: np.ndarray,
    concessions: np.ndarray,
) -> None:
    roles = marks.roles
    for position in positions:
        if position > 0 and roles[position - 1] == INTENSIFIES:
            learnt[position - 1] = _ZERO
    for word, _ in complaints:
        row = np.searchsorted(offsets, word, side="right") - 1
        first = word
        while first > offsets[row] and not ends_clause(roles[first - 1]):
            first -= 1
        end = word + 1
        while end < offsets[row + 1] and not ends_clause(roles[end]):
            end += 1
        for position in range(first, end):
            learnt[position] = min(learnt[position], _COMPLAINT_CLAUSE)
    for word, negator in complaints:
        learnt[word] = learnt[negator] = _ZERO
    for begin in concessions:
        if not marks.flags[begin] & COMPARES:
            continue
        row = np.searchsorted(offsets, begin, side="right") - 1
        learnt[begin] = _ZERO
        position = begin + 1
        while position < offsets[row + 1] and not ends_clause(roles[position]):
            learnt[position] = _ZERO
            position += 1
