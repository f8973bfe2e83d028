"""The inner loops of the model, compiled by numba when they are first used.

They are the CPU implementation of the operators in `operators`, which holds the same computation in plain torch. Texts have
unequal lengths: with torch's own kernels, gathers, scatters and padding cost five times the arithmetic.

The compiled code is cached next to the source where that is writable, else in NUMBA_CACHE_DIR if that is set, so only the
first use pays some seconds. Loops run on the calling thread without the interpreter lock, and add up in a fixed order.

Shapes throughout: `offsets` is int64, (rows + 1,); row i has the positions `offsets[i]` to `offsets[i + 1]`, of which the
first is a separator. `token_weights` is float, (positions,): how much each word counts.
"""

from __future__ import annotations

import numpy as np

from .compilation import AHEAD, compiled, inlined, prefetch_row


@compiled
def ngram_bag_forward(
    weight: np.ndarray, ngrams: np.ndarray, offsets: np.ndarray, ngram_weights: np.ndarray, sums: np.ndarray
) -> None:
    """Sum the weights of each row's n-grams; see `operators.ngram_bag`.

    Args:
        weight: float, shape (buckets,).
        ngrams: int32, shape (positions, kinds).
        ngram_weights: float, shape (positions, kinds) or (1, kinds).
        sums: float, shape (rows,); written.
    """
    step = 0 if len(ngram_weights) == 1 else 1
    for row in range(len(offsets) - 1):
        total = weight[0] * 0
        for position in range(offsets[row], offsets[row + 1]):
            for kind in range(ngrams.shape[1]):
                total += ngram_weights[step * position, kind] * weight[ngrams[position, kind]]
        sums[row] = total


@compiled
def ngram_bag_backward(
    grad: np.ndarray, ngrams: np.ndarray, offsets: np.ndarray, ngram_weights: np.ndarray, values: np.ndarray
) -> None:
    """Gradient of the n-gram at each place.

    Args:
        grad: float, shape (rows,): gradient of the sums.
        values: float, shape (positions, kinds); written.
    """
    step = 0 if len(ngram_weights) == 1 else 1
    for row in range(len(offsets) - 1):
        for position in range(offsets[row], offsets[row + 1]):
            for kind in range(ngrams.shape[1]):
                values[position, kind] = grad[row] * ngram_weights[step * position, kind]


@compiled
def _pair_weight(token_weights: np.ndarray, position: int, end: int) -> float:
    weight = token_weights[position]
    following = token_weights[position + 1] if position + 1 < end else weight
    return max(weight, following) if min(weight, following) > 0 else weight * 0


@compiled
def embed_forward(
    word_table: np.ndarray,
    pair_table: np.ndarray,
    bias: np.ndarray,
    words: np.ndarray,
    pairs: np.ndarray,
    offsets: np.ndarray,
    token_weights: np.ndarray,
    inputs: np.ndarray,
) -> None:
    """Inputs of an encoder's first layer, zero at separators; see `operators.embed`.

    Args:
        word_table: float, shape (buckets, 3 * size): a word's vectors for the position after it, its own and the one before.
        pair_table: float, shape (pair buckets, size).
        bias: float, shape (size,).
        words, pairs: int32, shape (positions,): rows of the tables.
        inputs: float, shape (positions, size); written.
    """
    size = len(bias)
    arrays = (word_table, pair_table, bias, words, pairs, offsets, token_weights, inputs)
    if size == 64:
        _embed_forward(arrays, 64)
    elif size == 128:
        _embed_forward(arrays, 128)
    else:
        _embed_forward(arrays, size)


@inlined
def _embed_forward(arrays: tuple[np.ndarray, ...], size: int) -> None:
    word_table, pair_table, bias, words, pairs, offsets, token_weights, inputs = arrays
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        inputs[first] = 0
        for position in range(first + 1, end):
            ahead = position + AHEAD
            if ahead < len(words):
                prefetch_row(word_table, words[ahead], 3 * size)
                prefetch_row(pair_table, pairs[ahead], size)
            word, pair, weight = words[position], pairs[position], token_weights[position]
            pair_weight = _pair_weight(token_weights, position, end)
            for k in range(size):
                inputs[position, k] = bias[k] + weight * word_table[word, size + k] + pair_weight * pair_table[pair, k]
            if position > first + 1:
                word, weight = words[position - 1], token_weights[position - 1]
                for k in range(size):
                    inputs[position, k] += weight * word_table[word, k]
            if position + 1 < end:
                word, weight = words[position + 1], token_weights[position + 1]
                for k in range(size):
                    inputs[position, k] += weight * word_table[word, 2 * size + k]


@compiled
def embed_backward(
    grad: np.ndarray,
    offsets: np.ndarray,
    token_weights: np.ndarray,
    word_grad: np.ndarray,
    pair_grad: np.ndarray,
    bias_grad: np.ndarray,
) -> None:
    """Gradients of `embed_forward`, for each position instead of each row of a table.

    Args:
        grad: float, shape (positions, size): gradient of the inputs.
        word_grad, pair_grad: float, shapes (positions, 3 * size) and (positions, size); written, zero at separators.
        bias_grad: float, shape (size,); written.
    """
    size = grad.shape[1]
    arrays = (grad, offsets, token_weights, word_grad, pair_grad, bias_grad)
    if size == 64:
        _embed_backward(arrays, 64)
    elif size == 128:
        _embed_backward(arrays, 128)
    else:
        _embed_backward(arrays, size)


@inlined
def _embed_backward(arrays: tuple[np.ndarray, ...], size: int) -> None:
    grad, offsets, token_weights, word_grad, pair_grad, bias_grad = arrays
    bias_grad[:] = 0
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        word_grad[first] = 0
        pair_grad[first] = 0
        for position in range(first + 1, end):
            weight = token_weights[position]
            pair_weight = _pair_weight(token_weights, position, end)
            for k in range(size):
                word_grad[position, size + k] = weight * grad[position, k]
                pair_grad[position, k] = pair_weight * grad[position, k]
                bias_grad[k] += grad[position, k]
            if position + 1 < end:
                for k in range(size):
                    word_grad[position, k] = weight * grad[position + 1, k]
            else:
                word_grad[position, :size] = 0
            if position > first + 1:
                for k in range(size):
                    word_grad[position, 2 * size + k] = weight * grad[position - 1, k]
            else:
                word_grad[position, 2 * size :] = 0


@compiled
def _sigmoid(value: np.float32) -> np.float32:
    """The rational approximation of tanh that Eigen uses, accurate to 1e-7. Unlike the exponential it is vectorised."""
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


@compiled
def gated_scan_forward(inputs: np.ndarray, offsets: np.ndarray, states: np.ndarray, gates: np.ndarray) -> None:
    """The recurrence of `operators.gated_scan`: the first half of the numbers runs forwards, the second half backwards.

    Args:
        inputs: float, shape (positions, 2 * width): new values, then gates before their sigmoid.
        states, gates: float, shape (positions, width); written, zero at separators.
    """
    width = states.shape[1]
    arrays = (inputs, offsets, states, gates)
    if width == 32:
        _scan_forward(arrays, 32)
    elif width == 64:
        _scan_forward(arrays, 64)
    else:
        _scan_forward(arrays, width)


@inlined
def _scan_forward(arrays: tuple[np.ndarray, ...], width: int) -> None:
    inputs, offsets, states, gates = arrays
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


@compiled
def gated_scan_backward(
    grad: np.ndarray,
    inputs: np.ndarray,
    offsets: np.ndarray,
    gates: np.ndarray,
    states: np.ndarray,
    input_grad: np.ndarray,
) -> None:
    """Gradient of `gated_scan_forward`.

    Args:
        grad: float, shape (positions, width): gradient of the states, without what later states pass back.
        input_grad: float, shape (positions, 2 * width); written, zero at separators.
    """
    width = states.shape[1]
    arrays = (grad, inputs, offsets, gates, states, input_grad)
    if width == 32:
        _scan_backward(arrays, 32)
    elif width == 64:
        _scan_backward(arrays, 64)
    else:
        _scan_backward(arrays, width)


@inlined
def _scan_backward(arrays: tuple[np.ndarray, ...], width: int) -> None:
    grad, inputs, offsets, gates, states, input_grad = arrays
    half = width // 2
    carried = np.zeros(width, dtype=states.dtype)
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        input_grad[first] = 0
        carried[:] = 0
        for position in range(end - 1, first, -1):
            for k in range(half):
                total = grad[position, k] + carried[k]
                carried[k] = total * gates[position, k]
                new_grad = total - carried[k]
                input_grad[position, k] = new_grad
                input_grad[position, width + k] = (
                    (states[position - 1, k] - inputs[position, k]) * gates[position, k] * new_grad
                )
        for position in range(first + 1, end):
            past_position = position + 1 if position + 1 < end else first
            for k in range(half, width):
                total = grad[position, k] + carried[k]
                carried[k] = total * gates[position, k]
                new_grad = total - carried[k]
                input_grad[position, k] = new_grad
                input_grad[position, width + k] = (
                    (states[past_position, k] - inputs[position, k]) * gates[position, k] * new_grad
                )


@compiled
def max_sum_pool_forward(states: np.ndarray, offsets: np.ndarray, pooled: np.ndarray, argmax: np.ndarray) -> None:
    """Maximum and scaled sum over each row's words; see `operators.max_sum_pool`.

    Args:
        pooled: float, shape (rows, 2 * width); written.
        argmax: int64, shape (rows, width): position of the maximum, -1 where no word is above zero; written.
    """
    width = states.shape[1]
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        both, place = pooled[row], argmax[row]
        scale = states.dtype.type(1) / np.sqrt(states.dtype.type(end - first))
        both[:] = 0
        place[:] = -1
        for position in range(first + 1, end):
            state = states[position]
            for k in range(width):
                both[width + k] += state[k] * scale
            for k in range(width):
                if state[k] > both[k]:
                    both[k] = state[k]
                    place[k] = position


@compiled
def max_sum_pool_backward(grad: np.ndarray, offsets: np.ndarray, argmax: np.ndarray, state_grad: np.ndarray) -> None:
    """Gradient of `max_sum_pool_forward`: grad float, shape (rows, 2 * width); state_grad (positions, width) is written."""
    width = state_grad.shape[1]
    for row in range(len(offsets) - 1):
        first, end = offsets[row], offsets[row + 1]
        scale = grad.dtype.type(1) / np.sqrt(grad.dtype.type(end - first))
        state_grad[first] = 0
        for position in range(first + 1, end):
            for k in range(width):
                state_grad[position, k] = grad[row, width + k] * scale
        for k in range(width):
            if argmax[row, k] >= 0:
                state_grad[argmax[row, k], k] += grad[row, k]
