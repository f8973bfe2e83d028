"""The model's own torch operators: a bag of n-grams, an embedding with neighbours, a gated scan, and pooling.

All work on ragged batches: one flat sequence of positions and the offsets of its rows. Each operator is here twice.
`*_plain` is a few lines of torch, differentiated by autograd; it runs on every device but the CPU, and the tests compare
with it. On the CPU the public function calls a compiled loop (`kernels`) that is registered with torch, with its gradient,
as `sentiment::*`. Both give the same values to 1e-5.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import kernels

COMPILED_DEVICES = {"cpu"}
"""Device types on which the compiled loops run; tests empty it to run the plain ones on a CPU."""


def _is_compiled(tensor: Tensor) -> bool:
    return tensor.device.type in COMPILED_DEVICES


class _CompiledOperator:
    """A compiled loop as the operator `sentiment::*` of torch."""

    def __init__(self, kernel: Callable[..., None], allocate: Callable[..., Any]) -> None:
        """Register it.

        Args:
            kernel: takes all tensors among the operator's arguments and then its results as numpy arrays, and fills these.
            allocate: has the operator's name and signature; returns its results without values.
        """
        self._kernel, self._allocate = kernel, allocate
        self._registered = torch.library.custom_op(
            f"sentiment::{allocate.__name__.removeprefix('_')}",
            self._run,
            mutates_args=(),
            device_types="cpu",
            schema=torch.library.infer_schema(allocate, mutates_args=()),
        )
        self._registered.register_fake(allocate)
        self._with_grad: Callable[..., Any] = self._registered

    def register_autograd(
        self, backward: Callable[..., Any], *, setup_context: Callable[[Any, tuple[Any, ...], Any], None]
    ) -> None:
        """As `torch.library.register_autograd`."""
        self._registered.register_autograd(backward, setup_context=setup_context)

        def forward(ctx: Any, *arguments: Any) -> Any:
            results = self._run(*arguments)
            setup_context(ctx, arguments, results)
            return results

        # Not with a `setup_context` of its own: torch would then look up the signature at each call, for longer than it runs.
        methods = {"forward": forward, "backward": backward}
        name = self._allocate.__name__.removeprefix("_")
        function = type(
            name, (torch.autograd.Function,), {key: staticmethod(method) for key, method in methods.items()}
        )
        self._with_grad = function.apply  # type: ignore[attr-defined]

    def __call__(self, *arguments: Any) -> Any:
        """Run the loop, by way of torch's dispatcher only where a graph is recorded.

        The dispatcher would import torch's compiler, which takes a second, and for short texts it costs more than the loop.
        """
        is_recorded = torch.compiler.is_compiling() or type(arguments[0]) not in (Tensor, torch.nn.Parameter)
        if is_recorded:
            return self._registered(*arguments)
        return (self._with_grad if torch.is_grad_enabled() else self._run)(*arguments)

    def _run(self, *arguments: Any) -> Any:
        results = self._allocate(*arguments)
        values = (*arguments, *(results if isinstance(results, tuple) else (results,)))
        self._kernel(*[_as_array(value) for value in values if isinstance(value, Tensor)])
        return results


def _as_array(tensor: Tensor) -> np.ndarray:
    return (tensor.detach() if tensor.requires_grad else tensor).numpy()


def _compiled_operator(kernel: Callable[..., None]) -> Callable[[Callable[..., Any]], _CompiledOperator]:
    return functools.partial(_CompiledOperator, kernel)


def ngram_bag_plain(
    weight: Tensor, ngrams: Tensor, offsets: Tensor, ngram_weights: Tensor, sparse: bool = False
) -> Tensor:
    """`ngram_bag` in torch's own operators."""
    lengths = offsets.diff()
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=weight.device), lengths, output_size=len(ngrams))
    values = torch.gather(weight, 0, ngrams.reshape(-1).long(), sparse_grad=sparse).reshape(ngrams.shape)
    return weight.new_zeros(len(lengths)).index_add(0, rows, (values * ngram_weights).sum(1))


def ngram_bag(weight: Tensor, ngrams: Tensor, offsets: Tensor, ngram_weights: Tensor, sparse: bool = False) -> Tensor:
    """Weighted sum of the weights of each row's n-grams, as `torch.nn.functional.embedding_bag` of width one.

    Args:
        weight: float, shape (buckets,).
        ngrams: int32, shape (positions, kinds): buckets of the n-grams that begin at each position.
        offsets: int64, shape (rows + 1,).
        ngram_weights: float, shape (positions, kinds), or (1, kinds) if they are the same everywhere; no gradient.
        sparse: whether the gradient of `weight` is a sparse tensor, one entry an n-gram.

    Returns:
        float, shape (rows,).
    """
    function = _ngram_bag if _is_compiled(weight) else ngram_bag_plain
    return function(weight, ngrams, offsets, ngram_weights, sparse)


@_compiled_operator(kernels.ngram_bag_forward)
def _ngram_bag(weight: Tensor, ngrams: Tensor, offsets: Tensor, ngram_weights: Tensor, sparse: bool) -> Tensor:
    return weight.new_empty(offsets.shape[0] - 1)


@_compiled_operator(kernels.ngram_bag_backward)
def _ngram_bag_backward(grad: Tensor, ngrams: Tensor, offsets: Tensor, ngram_weights: Tensor) -> Tensor:
    return grad.new_empty(ngrams.shape)


def _save_for_ngram_bag(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    weight, *saved, sparse = inputs
    ctx.save_for_backward(*saved)
    ctx.shape, ctx.sparse = weight.shape, sparse


def _differentiate_ngram_bag(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    ngrams, offsets, ngram_weights = ctx.saved_tensors
    values = _ngram_bag_backward(grad.contiguous(), ngrams, offsets, ngram_weights)
    return _table_grad(values.reshape(-1), ngrams.reshape(-1), ctx.shape, ctx.sparse), None, None, None, None


_ngram_bag.register_autograd(_differentiate_ngram_bag, setup_context=_save_for_ngram_bag)


def embed_plain(
    word_table: Tensor,
    pair_table: Tensor,
    bias: Tensor,
    words: Tensor,
    pairs: Tensor,
    offsets: Tensor,
    token_weights: Tensor,
    sparse: bool = False,
) -> Tensor:
    """`embed` in torch's own operators."""
    is_word = torch.ones_like(token_weights).index_fill(0, offsets[:-1], 0)
    weights = token_weights * is_word
    is_last = torch.zeros_like(is_word).index_fill(0, offsets[1:] - 1, 1)
    following = torch.where(is_last > 0, weights, F.pad(weights[1:], (0, 1)))
    pair_weights = torch.where((weights > 0) & (following > 0), torch.maximum(weights, following), 0)
    before, own, after = (F.embedding(words, word_table, sparse=sparse) * weights[:, None]).chunk(3, dim=1)
    inputs = own + F.pad(before[:-1], (0, 0, 1, 0)) + F.pad(after[1:], (0, 0, 0, 1)) + bias
    inputs = inputs + F.embedding(pairs, pair_table, sparse=sparse) * pair_weights[:, None]
    return inputs * is_word[:, None]


def embed(
    word_table: Tensor,
    pair_table: Tensor,
    bias: Tensor,
    words: Tensor,
    pairs: Tensor,
    offsets: Tensor,
    token_weights: Tensor,
    sparse: bool = False,
) -> Tensor:
    """What each word, its two neighbours and the pair that begins here contribute to a position; zero at separators.

    Args:
        word_table: float, shape (buckets, 3 * size): a word's vectors for the position after it, its own and the one before.
        pair_table: float, shape (pair buckets, size).
        bias: float, shape (size,).
        words, pairs: int32, shape (positions,): rows of the tables.
        offsets: int64, shape (rows + 1,).
        token_weights: float, shape (positions,): how much each word counts. A pair counts as its stronger word does, and
            not at all if one of them does not.
        sparse: whether the gradients of the tables are sparse tensors, one entry a position.

    Returns:
        float, shape (positions, size).
    """
    function = _embed if _is_compiled(word_table) else embed_plain
    return function(word_table, pair_table, bias, words, pairs, offsets, token_weights, sparse)


@_compiled_operator(kernels.embed_forward)
def _embed(
    word_table: Tensor,
    pair_table: Tensor,
    bias: Tensor,
    words: Tensor,
    pairs: Tensor,
    offsets: Tensor,
    token_weights: Tensor,
    sparse: bool,
) -> Tensor:
    return bias.new_empty(words.shape[0], bias.shape[0])


@_compiled_operator(kernels.embed_backward)
def _embed_backward(grad: Tensor, offsets: Tensor, token_weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    positions, size = grad.shape
    return grad.new_empty(positions, 3 * size), torch.empty_like(grad), grad.new_empty(size)


def _save_for_embed(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    word_table, pair_table, _, *saved, sparse = inputs
    ctx.save_for_backward(*saved)
    ctx.shapes, ctx.sparse = (word_table.shape, pair_table.shape), sparse


def _differentiate_embed(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    words, pairs, offsets, token_weights = ctx.saved_tensors
    word_grad, pair_grad, bias_grad = _embed_backward(grad.contiguous(), offsets, token_weights)
    word_shape, pair_shape = ctx.shapes
    word_grad = _table_grad(word_grad, words, word_shape, ctx.sparse)
    pair_grad = _table_grad(pair_grad, pairs, pair_shape, ctx.sparse)
    return word_grad, pair_grad, bias_grad, None, None, None, None, None


_embed.register_autograd(_differentiate_embed, setup_context=_save_for_embed)


def _table_grad(values: Tensor, rows: Tensor, shape: torch.Size, sparse: bool) -> Tensor:
    """The gradient of a table from the gradients of the rows that were looked up."""
    if sparse:
        return torch.sparse_coo_tensor(rows[None].long(), values, shape, check_invariants=False)
    return values.new_zeros(shape).index_add_(0, rows, values)


def gated_scan_plain(inputs: Tensor, offsets: Tensor) -> Tensor:
    """`gated_scan` in torch's own operators, in as many steps as the longest row has binary digits."""
    if len(inputs) == 0:
        return inputs.chunk(2, dim=1)[0]
    is_word = torch.ones_like(inputs[:, :1]).index_fill(0, offsets[:-1], 0)
    new, gates = inputs.chunk(2, dim=1)
    gates = torch.sigmoid(gates) * is_word
    added = (1 - gates) * new * is_word
    longest = int(offsets.diff().max())
    half = gates.shape[1] // 2
    forwards = _scan(gates[:, :half], added[:, :half], longest)
    backwards = _scan(gates[:, half:].flip(0), added[:, half:].flip(0), longest).flip(0)
    return torch.cat([forwards, backwards], dim=1)


def _scan(gates: Tensor, added: Tensor, longest: int) -> Tensor:
    """state[t] = gates[t] * state[t - 1] + added[t], by doubling; a gate of zero, as at a separator, starts again."""
    step = 1
    while step < longest:
        added = added + gates * F.pad(added[:-step], (0, 0, step, 0))
        gates = gates * F.pad(gates[:-step], (0, 0, step, 0))
        step *= 2
    return added


def gated_scan(inputs: Tensor, offsets: Tensor) -> Tensor:
    """A gated recurrence along each row: `state = gate * previous state + (1 - gate) * new value`.

    Gates and new values depend on the inputs alone, not on the state (SRU, Lei et al. 2018; minGRU, Feng et al. 2024).
    The first half of the numbers runs forwards, the second half backwards.

    Args:
        inputs: float, shape (positions, 2 * width): new values, then gates before their sigmoid.
        offsets: int64, shape (rows + 1,).

    Returns:
        float, shape (positions, width), zero at separators.
    """
    if not _is_compiled(inputs):
        return gated_scan_plain(inputs, offsets)
    states: Tensor = _gated_scan(inputs, offsets)[0]
    return states


@_compiled_operator(kernels.gated_scan_forward)
def _gated_scan(inputs: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """States, and the gates that the backward pass needs."""
    states = inputs.new_empty(inputs.shape[0], inputs.shape[1] // 2)
    return states, torch.empty_like(states)


@_compiled_operator(kernels.gated_scan_backward)
def _gated_scan_backward(grad: Tensor, inputs: Tensor, offsets: Tensor, gates: Tensor, states: Tensor) -> Tensor:
    return torch.empty_like(inputs)


def _save_for_gated_scan(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
    states, gates = output
    ctx.mark_non_differentiable(gates)
    ctx.save_for_backward(*inputs, gates, states)


def _differentiate_gated_scan(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor, None]:
    return _gated_scan_backward(grad.contiguous(), *ctx.saved_tensors), None


_gated_scan.register_autograd(_differentiate_gated_scan, setup_context=_save_for_gated_scan)


def max_sum_pool_plain(states: Tensor, offsets: Tensor) -> Tensor:
    """`max_sum_pool` in torch's own operators."""
    lengths = offsets.diff()
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=states.device), lengths, output_size=len(states))
    states = states.index_fill(0, offsets[:-1], 0)
    empty = states.new_zeros(len(lengths), states.shape[1])
    maximum = empty.scatter_reduce(0, rows[:, None].expand_as(states), states, "amax", include_self=True)
    return torch.cat([maximum, empty.index_add(0, rows, states) / lengths[:, None].sqrt()], dim=1)


def max_sum_pool(states: Tensor, offsets: Tensor) -> Tensor:
    """Maximum over each row's words, at least zero, and their sum divided by the root of the number of positions.

    Args:
        states: float, shape (positions, width); separators do not count.
        offsets: int64, shape (rows + 1,).

    Returns:
        float, shape (rows, 2 * width).
    """
    if not _is_compiled(states):
        return max_sum_pool_plain(states, offsets)
    pooled: Tensor = _max_sum_pool(states, offsets)[0]
    return pooled


@_compiled_operator(kernels.max_sum_pool_forward)
def _max_sum_pool(states: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """The pooled numbers, and the position of each maximum, which the backward pass needs."""
    rows, width = offsets.shape[0] - 1, states.shape[1]
    return states.new_empty(rows, 2 * width), offsets.new_empty(rows, width)


@_compiled_operator(kernels.max_sum_pool_backward)
def _max_sum_pool_backward(grad: Tensor, offsets: Tensor, argmax: Tensor, positions: int) -> Tensor:
    return grad.new_empty(positions, argmax.shape[1])


def _save_for_max_sum_pool(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
    states, offsets = inputs
    _, argmax = output
    ctx.mark_non_differentiable(argmax)
    ctx.save_for_backward(offsets, argmax)
    ctx.positions = states.shape[0]


def _differentiate_max_sum_pool(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor, None]:
    offsets, argmax = ctx.saved_tensors
    return _max_sum_pool_backward(grad.contiguous(), offsets, argmax, ctx.positions), None


_max_sum_pool.register_autograd(_differentiate_max_sum_pool, setup_context=_save_for_max_sum_pool)
