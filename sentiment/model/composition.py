"""How words change what others mean: negation, degree, contrast, comparison and rhetorical questions, for whole batches.

A tweet has two words in the lexicon, so each step works on few positions and none loops over tweets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .features import Features
from .kernels import compiled

NONE, NEGATES, INTENSIFIES, DAMPENS, TURNS, STOPS, CONCEDES, NEGATES_OR_ASKS = range(8)
"""What a word does to others. `NEGATES_OR_ASKS`: a negated auxiliary, such as `isn't`."""
NEGATED = np.float32(-0.74)
_DEGREE = 0.293
_FADING = (1.0, 0.95, 0.9)
_FARTHEST = 5
"""How far `don't think` reaches: past the subject and verb of the clause that it governs."""
_BEFORE_TURN, _BEHIND_TURN = 0.5, 1.5
_COMPLAINT_CLAUSE = np.float32(0.25)
_ZERO = np.float32(0)


class Marks(NamedTuple):
    """What each position of a batch does to others: arrays of shape (positions + 1,)."""

    roles: np.ndarray
    """uint8."""
    compares: np.ndarray
    """bool: a comparative such as `better`, or `than`."""
    is_universal: np.ndarray
    """bool: a negator without exception, such as `never` or `nothing`."""
    asks: np.ndarray
    """bool: a question mark, or a word that begins a question."""
    reaches_far: np.ndarray
    """bool: negates a whole clause, as `don't think` does."""


class Negation(NamedTuple):
    """Which values are negated."""

    is_negated: np.ndarray
    """bool, shape (hits,)."""
    distances: np.ndarray
    """int64, shape (hits,): how many words before the negator is; 0 where there is none."""


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
    begins = (before == features.offsets[rows]) | (marks.roles[before] == STOPS) | marks.asks[before]
    stops = np.append(np.flatnonzero(marks.roles == STOPS), len(features.hashes))
    ends = stops[np.searchsorted(stops, auxiliaries)]
    is_rhetorical = begins & marks.asks[ends] & (ends < features.offsets[rows + 1])
    marks.roles[auxiliaries] = np.where(is_rhetorical, NONE, NEGATES)
    found: np.ndarray = auxiliaries[is_rhetorical]
    return found


def apply_words_before(
    values: np.ndarray, marks: Marks, positions: np.ndarray, room: np.ndarray, *, by_clause: bool
) -> Negation:
    """Negate, intensify and dampen values, in place, by the up to three words before, of the same row.

    Args:
        values: float32, shape (hits,).
        positions: int64, shape (hits,).
        room: int64, shape (hits,): words of the row up to and with this one.
        by_clause: contrast ends a clause, too, and what is a clause or a negation of its own is not negated; rules before
            `valence-v3` did not know that.
    """
    is_negated = np.zeros(len(values), dtype=bool)
    is_open = np.ones(len(values), dtype=bool)
    degree = np.zeros(len(values), dtype=np.float32)
    distances = np.zeros(len(values), dtype=np.int64)
    for distance in range(1, _FARTHEST + 1):
        places = np.maximum(positions - distance, 0)
        roles = np.where(room > distance, marks.roles[places], NONE)
        is_open &= roles != STOPS
        if by_clause:
            is_open &= (roles != TURNS) & (roles != CONCEDES)
        negates = (roles == NEGATES) & is_open
        if distance <= len(_FADING):
            fading = _FADING[distance - 1]
            degree += _DEGREE * fading * ((roles == INTENSIFIES) * np.float32(1) - (roles == DAMPENS))
        else:
            negates &= marks.reaches_far[places]
        # "Never been better" is as good as it gets.
        negates &= ~(marks.compares[positions] & marks.is_universal[places])
        is_negated ^= negates
        distances[negates] = distance
    if by_clause:
        is_negated &= (marks.roles[positions] != NEGATES) & (marks.roles[positions] != STOPS)
    values += np.sign(values) * degree
    values[is_negated] *= NEGATED
    return Negation(is_negated, distances)


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
    is_hit = np.zeros(len(marks.roles), dtype=bool)
    is_hit[positions] = True
    learnt[np.flatnonzero((marks.roles[:-1] == INTENSIFIES) & is_hit[1:])] = 0
    than = np.flatnonzero((marks.roles == CONCEDES) & marks.compares)
    _discount_clauses(learnt, marks.roles, offsets, complaints, than)


@compiled
def _discount_clauses(
    learnt: np.ndarray, roles: np.ndarray, offsets: np.ndarray, complaints: np.ndarray, than: np.ndarray
) -> None:
    for word, _ in complaints:
        row = np.searchsorted(offsets, word, side="right") - 1
        first = word
        while first > offsets[row] and not _ends_clause(roles[first - 1]):
            first -= 1
        end = word + 1
        while end < offsets[row + 1] and not _ends_clause(roles[end]):
            end += 1
        for position in range(first, end):
            learnt[position] = min(learnt[position], _COMPLAINT_CLAUSE)
    for word, negator in complaints:
        learnt[word] = learnt[negator] = _ZERO
    for begin in than:
        row = np.searchsorted(offsets, begin, side="right") - 1
        learnt[begin] = _ZERO
        position = begin + 1
        while position < offsets[row + 1] and not _ends_clause(roles[position]):
            learnt[position] = _ZERO
            position += 1


@compiled
def _ends_clause(role: int) -> bool:
    return role in (STOPS, TURNS, CONCEDES)
