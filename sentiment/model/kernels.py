"""The inner loops of training, compiled when they are first used.

Learning row by row, each row seeing what the one before it taught, needs fewer passes than learning by batches, and numpy and
torch have no word for it: their gathers, scatters and copies cost five times the arithmetic. So do an encoder's walks along
texts of unequal length, in training and in scoring; the n-grams alone score without these loops.

The compiled code is kept beside the source where that is writable, else in NUMBA_CACHE_DIR if that is set, so that just the
first use pays some seconds.
Loops run on the thread that calls them, without the interpreter lock, and add up in the order that is written here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., Any])
_LARGEST_LOGIT = np.float32(30)


def _compiled(function: _Function) -> _Function:
    is_kept = "NUMBA_CACHE_DIR" in os.environ or os.access(Path(__file__).parent, os.W_OK)
    return cast(_Function, numba.njit(nogil=True, fastmath=True, error_model="numpy", cache=is_kept)(function))


@_compiled
def learn_ngrams(
    table: np.ndarray,
    ngrams: np.ndarray,
    offsets: np.ndarray,
    given: np.ndarray,
    labels: np.ndarray,
    steps: np.ndarray,
    cautions: np.ndarray,
) -> float:
    """Logistic regression with Adagrad, one row after the other.

    Args:
        table: float32, shape (buckets, 2): value and sum of squared gradients of each n-gram, side by side because a visit
            costs its way to memory; changed in place.
        ngrams, offsets: as in `features.Features`.
        given: float32, shape (rows,): a logit that is added to each row's and learns nothing.
        labels: float32 0 or 1, shape (rows,).
        steps, cautions: float32, shape (4,): size of the step and the squared gradient to start with, by kind of n-gram.

    Returns:
        The sum of the rows' log losses, each before its row was learnt from, in nats.
    """
    loss = 0.0
    for row in range(len(labels)):
        logit = given[row]
        for position in range(offsets[row], offsets[row + 1]):
            for kind in range(4):
                logit += table[ngrams[position, kind], 0]
        logit = min(max(logit, -_LARGEST_LOGIT), _LARGEST_LOGIT)
        loss += np.log1p(np.exp(-logit)) if labels[row] > 0.5 else np.log1p(np.exp(logit))
        slope = np.float32(1) / (np.float32(1) + np.exp(-logit)) - labels[row]
        square = slope * slope
        for position in range(offsets[row], offsets[row + 1]):
            for kind in range(4):
                entry = table[ngrams[position, kind]]
                entry[1] += square
                entry[0] -= steps[kind] * slope / np.sqrt(entry[1] + cautions[kind])
    return loss


@_compiled
def embed(
    table: np.ndarray,
    pair_table: np.ndarray,
    words: np.ndarray,
    pairs: np.ndarray,
    offsets: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    inputs: np.ndarray,
) -> None:
    """What each word, the one before and the one after say of its position, and the pair that begins there; zero at separators.

    Args:
        table: float32, shape (buckets, 6 * width): what a word says of the position after it, its own and the one before.
        pair_table: float32, shape (pair buckets, 2 * width).
        words, pairs, offsets: rows of the tables for each position, and the rows of texts as in `features.Features`.
        weights: float32, shape (positions,): how far each word counts; a pair counts as its stronger word does, and not at all
            if one of them does not.
        bias: float32, shape (2 * width,).
        inputs: float32, shape (positions, 2 * width); written.
    """
    size = len(bias)
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        inputs[first] = 0
        for position in range(first + 1, end):
            word, pair, weight = words[position], pairs[position], weights[position]
            beside = weights[position + 1] if position + 1 < end else weight
            of_pair = max(weight, beside) if min(weight, beside) > 0 else np.float32(0)
            for k in range(size):
                inputs[position, k] = bias[k] + weight * table[word, size + k] + of_pair * pair_table[pair, k]
            if position > first + 1:
                word, weight = words[position - 1], weights[position - 1]
                for k in range(size):
                    inputs[position, k] += weight * table[word, k]
            if position + 1 < end:
                word = words[position + 1]
                for k in range(size):
                    inputs[position, k] += beside * table[word, 2 * size + k]


@_compiled
def learn_embedding(
    table: np.ndarray,
    squares: np.ndarray,
    is_frozen: np.ndarray,
    words: np.ndarray,
    offsets: np.ndarray,
    slopes: np.ndarray,
    step: float,
    caution: float,
) -> None:
    """The words' way back of `embed` with all weights 1, by Adagrad with one sum of squared gradients a word.

    Args:
        squares: float32, shape (buckets,); changed in place like the table.
        is_frozen: bool, shape (buckets,): whose vectors stay as they are.
        slopes: float32, shape (positions, 2 * width): slopes of the loss by the inputs.
        caution: the sum of squared gradients that each begins with: what was seen a few times moves little.
    """
    size = slopes.shape[1]
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        for position in range(first + 1, end):
            word = words[position]
            if is_frozen[word]:
                continue
            # Separators' slopes are zero, so that a text's first and last word meet nothing there.
            before, after = position - 1, position + 1 if position + 1 < end else first
            square = np.float32(0)
            for k in range(size):
                square += slopes[position, k] ** 2 + slopes[after, k] ** 2 + slopes[before, k] ** 2
            squares[word] += square / np.float32(3 * size)
            rate = np.float32(step / np.sqrt(squares[word] + caution))
            for k in range(size):
                table[word, k] -= rate * slopes[after, k]
            for k in range(size):
                table[word, size + k] -= rate * slopes[position, k]
            for k in range(size):
                table[word, 2 * size + k] -= rate * slopes[before, k]


@_compiled
def learn_pairs(
    table: np.ndarray,
    squares: np.ndarray,
    pairs: np.ndarray,
    offsets: np.ndarray,
    slopes: np.ndarray,
    step: float,
    caution: float,
) -> None:
    """The pairs' way back of `embed`; see `learn_embedding`."""
    size = slopes.shape[1]
    for row in range(len(offsets) - 1):
        for position in range(offsets[row] + 1, offsets[row + 1]):
            pair = pairs[position]
            square = np.float32(0)
            for k in range(size):
                square += slopes[position, k] ** 2
            squares[pair] += square / np.float32(size)
            rate = np.float32(step / np.sqrt(squares[pair] + caution))
            for k in range(size):
                table[pair, k] -= rate * slopes[position, k]


@_compiled
def add_up_slopes(words: np.ndarray, offsets: np.ndarray, slopes: np.ndarray, sums: np.ndarray) -> None:
    """The way back of `embed` with all weights 1, as plain sums: sums float32, shape (buckets, 6 * width), are added to."""
    size = slopes.shape[1]
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        for position in range(first + 1, end):
            word, before, after = words[position], position - 1, position + 1 if position + 1 < end else first
            for k in range(size):
                sums[word, k] += slopes[after, k]
            for k in range(size):
                sums[word, size + k] += slopes[position, k]
            for k in range(size):
                sums[word, 2 * size + k] += slopes[before, k]


@_compiled
def _sigmoid(value: np.float32) -> np.float32:
    """By the rational approximation of tanh that Eigen uses, to 1e-7: unlike the exponential, it is computed for many
    numbers at once."""
    half = min(max(np.float32(0.5) * value, np.float32(-7.9)), np.float32(7.9))
    square = half * half
    above = np.float32(-2.76076847742355e-16)
    above = above * square + np.float32(2.00018790482477e-13)
    above = above * square + np.float32(-8.60467152213735e-11)
    above = above * square + np.float32(5.12229709037114e-08)
    above = above * square + np.float32(1.48572235717979e-05)
    above = above * square + np.float32(6.37261928875436e-04)
    above = above * square + np.float32(4.89352455891786e-03)
    below = np.float32(1.19825839466702e-06)
    below = below * square + np.float32(1.18534705686654e-04)
    below = below * square + np.float32(2.26843463243900e-03)
    below = below * square + np.float32(4.89352518554385e-03)
    return np.float32(0.5) + np.float32(0.5) * half * above / below


@_compiled
def remember(inputs: np.ndarray, offsets: np.ndarray, gates: np.ndarray, states: np.ndarray) -> None:
    """The gated memory of `encoder.Encoder`: the first half of the numbers reads forwards, the other backwards.

    Args:
        inputs: float32, shape (positions, 2 * width): new values, then gates before their sigmoid.
        gates, states: float32, shape (positions, width); written, zero at separators.
    """
    width = states.shape[1]
    half = width // 2
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        gates[first] = 0
        states[first] = 0
        for position in range(first + 1, end):
            for k in range(width):
                gates[position, k] = _sigmoid(inputs[position, width + k])
            for k in range(half):
                new, past = inputs[position, k], states[position - 1, k]
                states[position, k] = new + gates[position, k] * (past - new)
        for position in range(end - 1, first, -1):
            past_position = position + 1 if position + 1 < end else first
            for k in range(half, width):
                new, past = inputs[position, k], states[past_position, k]
                states[position, k] = new + gates[position, k] * (past - new)


@_compiled
def remember_back(
    inputs: np.ndarray,
    offsets: np.ndarray,
    gates: np.ndarray,
    states: np.ndarray,
    slopes: np.ndarray,
    input_slopes: np.ndarray,
) -> None:
    """The way back of `remember`.

    Args:
        slopes: float32, shape (positions, width): slopes of the loss by the states, without what later states add.
        input_slopes: float32, shape (positions, 2 * width); written, zero at separators.
    """
    width = states.shape[1]
    half = width // 2
    from_later = np.zeros(width, dtype=np.float32)
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        input_slopes[first] = 0
        from_later[:] = 0
        for position in range(end - 1, first, -1):
            for k in range(half):
                slope = slopes[position, k] + from_later[k]
                from_later[k] = slope * gates[position, k]
                of_new = slope - from_later[k]
                input_slopes[position, k] = of_new
                input_slopes[position, width + k] = (
                    (states[position - 1, k] - inputs[position, k]) * gates[position, k] * of_new
                )
        for position in range(first + 1, end):
            past_position = position + 1 if position + 1 < end else first
            for k in range(half, width):
                slope = slopes[position, k] + from_later[k]
                from_later[k] = slope * gates[position, k]
                of_new = slope - from_later[k]
                input_slopes[position, k] = of_new
                input_slopes[position, width + k] = (
                    (states[past_position, k] - inputs[position, k]) * gates[position, k] * of_new
                )


@_compiled
def pool(states: np.ndarray, offsets: np.ndarray, pooled: np.ndarray, places: np.ndarray) -> None:
    """Maximum and scaled sum over each row's positions, separator included.

    Args:
        pooled: float32, shape (rows, 2 * width); written.
        places: int64, shape (rows, width): where the maximum stands; written.
    """
    width = states.shape[1]
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        both, place = pooled[row], places[row]
        scale = np.float32(1 / np.sqrt(end - first))
        both[:] = 0
        place[:] = first
        for position in range(first + 1, end):
            state = states[position]
            for k in range(width):
                both[width + k] += state[k] * scale
            for k in range(width):
                if state[k] > both[k]:
                    both[k] = state[k]
                    place[k] = position


@_compiled
def pool_back(slopes: np.ndarray, offsets: np.ndarray, places: np.ndarray, state_slopes: np.ndarray) -> None:
    """The way back of `pool`: slopes float32, shape (rows, 2 * width); state_slopes (positions, width) is written."""
    width = state_slopes.shape[1]
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        scale = np.float32(1 / np.sqrt(end - first))
        for position in range(first, end):
            for k in range(width):
                state_slopes[position, k] = slopes[row, width + k] * scale
        for k in range(width):
            state_slopes[places[row, k], k] += slopes[row, k]
