"""The inner loops of training, compiled when they are first used.

Learning row by row, each row seeing what the one before it taught, needs fewer passes than learning by batches, and numpy and
torch have no word for it: their gathers, scatters and copies cost five times the arithmetic. Scoring needs none of this
and never imports it.

The compiled code is kept beside the source where that is writable, so that just the first training pays some seconds.
Loops run on the thread that calls them, without the interpreter lock, and add up in the order that is written here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., Any])
_LARGEST_LOGIT = np.float32(30)


def _compiled(function: _Function) -> _Function:
    compiled: Any = numba.njit(nogil=True, error_model="numpy", cache=os.access(Path(__file__).parent, os.W_OK))(
        function
    )
    return compiled


@_compiled
def learn_ngrams(
    table: np.ndarray,
    ngrams: np.ndarray,
    offsets: np.ndarray,
    labels: np.ndarray,
    steps: np.ndarray,
    cautions: np.ndarray,
) -> float:
    """Logistic regression with Adagrad, one row after the other.

    Args:
        table: float32, shape (buckets, 2): value and sum of squared gradients of each n-gram, side by side because a visit
            costs its way to memory; changed in place.
        ngrams, offsets: as in `features.Features`.
        labels: float32 0 or 1, shape (rows,).
        steps, cautions: float32, shape (4,): size of the step and the squared gradient to start with, by kind of n-gram.

    Returns:
        The sum of the rows' log losses, each before its row was learnt from, in nats.
    """
    loss = 0.0
    for row in range(len(labels)):
        logit = np.float32(0)
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
