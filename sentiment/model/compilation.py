"""Compiles inner loops with numba, and lets them ask for table rows before they read them.

Rows of an embedding table lie at random places of memory. A loop that waits for each of them takes two to three times as long
as one that has asked for the rows of the positions ahead, as the embedding kernels of FBGEMM do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_Function = TypeVar("_Function", bound=Callable[..., Any])

AHEAD = 12
"""Positions between asking for a row and reading it: 6 and 12 measured the same."""
_LINE = 16
"""Numbers of four bytes in a line of the processor's cache."""


def compiled(function: _Function) -> _Function:
    """Compile with numba for any types the function is called with, and cache the result on disk."""
    is_cached = "NUMBA_CACHE_DIR" in os.environ or os.access(Path(__file__).parent, os.W_OK)
    return cast(_Function, numba.njit(nogil=True, fastmath=True, error_model="numpy", cache=is_cached)(function))


def inlined(function: _Function) -> _Function:
    """Compile as a part of the compiled functions that call it, once for each constant it is called with.

    A loop whose length is known to the compiler takes half the time of one whose length is not.
    """
    return cast(_Function, numba.njit(inline="always")(function))


@intrinsic
def _prefetch(_typing: Any, array: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        index = context.cast(builder, arguments[1], signature.args[1], types.intp)
        address = builder.bitcast(builder.gep(data, [index]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        declared = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [address.type], declared)
        to_read, into_all_caches, data_not_code = number(0), number(3), number(1)
        builder.call(function, [address, to_read, into_all_caches, data_not_code])
        return context.get_dummy_value()

    return types.void(array, place), generate


prefetch = cast(Callable[[np.ndarray, int], None], _prefetch)
"""Asks for `array.flat[place]`, of an array in C order, from within a compiled loop; does not wait for it."""


@compiled
def prefetch_row(table: np.ndarray, row: int, width: int) -> None:
    """Ask for one row of a table in C order of which each has `width` numbers."""
    for line in range(0, width, _LINE):
        prefetch(table, row * width + line)
