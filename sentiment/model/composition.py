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
a question mark, or a word that begins a question; a negator of a whole clause, such as `don't think` or `nobody`."""
WISHES, COORDINATES, IS_DEGREE, CONSTRUCTS = 2048, 4096, 8192, 16384
"""Flags of entries from `valence-v4` on: a comparative after it says what is not, such as `could`; `nor`, which no other
negator reaches past, and `or`, after which a negation goes on; a word of degree that makes a denial an extreme, such as `so`;
a word that a construction is found by."""
_DEGREE = np.float32(0.293)
_FADING = np.array([1.0, 0.95, 0.9], dtype=np.float32)
_NEAR, _FARTHEST = 3, 5
"""How far a negator reaches, and one like `don't think`: past the subject and verb of the clause that it governs."""
_BEFORE_TURN, _BEHIND_TURN = 0.5, 1.5
_COMPLAINT_CLAUSE = np.float32(0.25)
_ZERO = np.float32(0)


@compiled
def ends_clause(role: int) -> bool:
    """Whether a word of this role is not part of the clause before it."""
    return role in (STOPS, TURNS, CONCEDES)


@compiled
def rows_of(positions: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The rows of ascending positions: int64, shape as given."""
    rows, row = np.empty(len(positions), dtype=np.int64), 0
    for place in range(len(positions)):
        while offsets[row + 1] <= positions[place]:
            row += 1
        rows[place] = row
    return rows


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
    rows = rows_of(auxiliaries, features.offsets)
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
    values: np.ndarray, marks: Marks, positions: np.ndarray, room: np.ndarray, version: int
) -> np.ndarray:
    """Negate, intensify and dampen values, in place, by the words before, of the same row: those up to three words away,
    words of degree not counted, and up to five if they negate a whole clause.

    Args:
        values: float32, shape (hits,).
        positions: int64, shape (hits,).
        room: int64, shape (hits,): words of the row up to and with this one.
        version: of the rules. From 3 on contrast ends a clause, too, and what is a clause or a negation of its own is not
            negated; from 4 on comparatives and words of degree matter, and words of degree do not count as distance.

    Returns:
        int64, shape (hits,): how many words before the word that negates is; 0 for values that are not negated.
    """
    negators = np.zeros(len(values), dtype=np.int64)
    for hit in range(len(values)):
        position, is_negated, is_open, degree, near, joined = positions[hit], False, True, _ZERO, _NEAR, 0
        compares = _compares(marks, position, version)
        is_extreme = compares or _has_degree(marks, position, room[hit])
        for distance in range(1, min(_FARTHEST + 1, room[hit])):
            role, flags = marks.roles[position - distance], marks.flags[position - distance]
            is_open = is_open and not (ends_clause(role) if version >= 3 else role == STOPS)
            if distance <= len(_FADING) and (role in (INTENSIFIES, DAMPENS)):
                degree += (_DEGREE if role == INTENSIFIES else -_DEGREE) * _FADING[distance - 1]
            near += version >= 4 and (role in (INTENSIFIES, DAMPENS))
            if not is_open:
                continue
            turns = compares and flags & WISHES > 0
            if role == NEGATES and (distance <= near or flags & REACHES_FAR):
                # "Never been better" is as good as it gets.
                turns = turns or not (is_extreme and flags & IS_UNIVERSAL)
            if turns:
                is_negated = not is_negated
                negators[hit] = distance
            if flags & COORDINATES and distance <= near:
                is_open = is_open and role != NEGATES
                joined = distance if role == NONE else joined
        if joined > 0 and not is_negated and hit > 0 and negators[hit - 1] > 0:
            before = position - positions[hit - 1]
            if joined < before <= joined + _NEAR and before < room[hit]:
                is_negated = True
                negators[hit] = before + negators[hit - 1]
        values[hit] += np.sign(values[hit]) * degree
        own = marks.roles[position]
        if is_negated and not (version >= 3 and (own in (NEGATES, STOPS))):
            values[hit] *= NEGATED
        else:
            negators[hit] = 0
    return negators


@compiled
def _compares(marks: Marks, position: int, version: int) -> bool:
    """Whether a word is a comparative such as `nicer` or, from version 4 on, follows `more` or `less`."""
    if marks.flags[position] & COMPARES:
        return True
    before = position - 1
    return version >= 4 and before >= 0 and marks.flags[before] & COMPARES > 0 and marks.roles[before] != CONCEDES


@compiled
def _has_degree(marks: Marks, position: int, room: int) -> bool:
    """Whether one of the two words before is a word of degree such as `so`."""
    flags = marks.flags
    return flags[position - 1] & IS_DEGREE > 0 or (room > 2 and flags[position - 2] & IS_DEGREE > 0)


@compiled
def clause_begin(roles: np.ndarray, position: int, first: int) -> int:
    """Where the clause of a position begins, in a row whose words begin at `first`."""
    while position > first and not ends_clause(roles[position - 1]):
        position -= 1
    return position


@compiled
def clause_end(roles: np.ndarray, position: int, end: int) -> int:
    """Where the clause of the word before a position ends, in a row that ends before `end`."""
    while position < end and not ends_clause(roles[position]):
        position += 1
    return position


def weigh_clauses(roles: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """How much each word counts: float32, shape (positions,). Words before a row's first `but` count less, those after it
    more; the clause that `although` or `than` begins counts less and the rest more."""
    weights = np.ones(int(offsets[-1]), dtype=np.float32)
    _weigh_clauses(weights, roles, offsets, np.flatnonzero((roles == TURNS) | (roles == CONCEDES)))
    return weights


@compiled
def _weigh_clauses(weights: np.ndarray, roles: np.ndarray, offsets: np.ndarray, contrasts: np.ndarray) -> None:
    row, end = 0, 0
    for contrast in contrasts:
        if contrast < end:
            continue
        while offsets[row + 1] <= contrast:
            row += 1
        end, stop = offsets[row + 1], contrast
        while stop < end and roles[stop] != STOPS:
            stop += 1
        concedes = roles[contrast] == CONCEDES
        weights[offsets[row] : contrast] = _BEHIND_TURN if concedes else _BEFORE_TURN
        weights[contrast:stop] = _BEFORE_TURN if concedes else _BEHIND_TURN
        weights[stop:end] = _BEHIND_TURN


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
        for position in range(clause_begin(roles, word, offsets[row]), clause_end(roles, word + 1, offsets[row + 1])):
            learnt[position] = min(learnt[position], _COMPLAINT_CLAUSE)
    for word, negator in complaints:
        learnt[word] = learnt[negator] = _ZERO
    for begin in concessions:
        if not marks.flags[begin] & COMPARES:
            continue
        row = np.searchsorted(offsets, begin, side="right") - 1
        learnt[begin : clause_end(roles, begin + 1, offsets[row + 1])] = _ZERO
