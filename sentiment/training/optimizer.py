"""Row-wise Adagrad for embedding tables with sparse gradients.

Adagrad (Duchi et al. 2011) with one accumulator for each row of a table instead of one for each number, as recommenders
use it (the exact row-wise Adagrad of FBGEMM). A step touches only the rows of its gradient: `torch.optim.Adagrad` and
`SparseAdam` first sort and merge the entries of a sparse gradient, which here costs more than all the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from sentiment.model import operators
from sentiment.model.compilation import AHEAD, compiled, prefetch, prefetch_row


class RowwiseAdagrad(torch.optim.Optimizer):
    """Adagrad with one accumulator a row, for parameters whose gradients are sparse.

    An entry that occurs several times in a gradient is not merged: each occurrence adds its own square to the accumulator.
    Accumulators are updated before the rows, so the order of the entries does not matter.
    """

    # Torch wraps these against torch.compile, and the wrapper imports torch._dynamo: more than a second for nothing.
    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)

    def __init__(self, params: Iterable[Tensor], lr: float = 0.01, initial_accumulator_value: float = 0.0) -> None:
        """Prepare the accumulators.

        Args:
            params: tensors whose first dimension are rows.
            lr: learning rate.
            initial_accumulator_value: what each row's mean of squared gradients starts with. A large value lets a row
                move little until it has been seen often.
        """
        super().__init__(params, {"lr": lr, "initial_accumulator_value": initial_accumulator_value})
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["sum"] = _accumulator(parameter)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient.

        Raises:
            RuntimeError: a gradient is dense.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if not parameter.grad.is_sparse:
                    raise RuntimeError(
                        "RowwiseAdagrad expects sparse gradients; use torch.optim.Adagrad for dense ones."
                    )
                rows, values = parameter.grad._indices()[0], parameter.grad._values()
                is_compiled = parameter.device.type in operators.COMPILED_DEVICES
                update: Callable[..., Any] = rowwise_adagrad_ if is_compiled else rowwise_adagrad_plain_
                accumulator = self.state[parameter]["sum"]
                update(parameter, accumulator, rows, values, group["lr"], group["initial_accumulator_value"])
        return loss


def _accumulator(parameter: Tensor) -> Tensor:
    """Zeros, one a row. Where a row is one number, the two are moved next to each other in memory: a visit to both then costs
    the way to one, which is most of a step's time."""
    # As for the n-grams' weights: numpy asks for huge pages.
    table = torch.from_numpy(np.zeros((len(parameter), 2), dtype=np.float32)).to(parameter.device, parameter.dtype)
    if parameter.dim() > 1:
        return table[:, 1].contiguous()
    table[:, 0] = parameter.detach()
    parameter.data = table[:, 0]
    return table[:, 1]


def rowwise_adagrad_plain_(
    parameter: Tensor, accumulator: Tensor, rows: Tensor, values: Tensor, lr: float, initial: float
) -> None:
    """`rowwise_adagrad_` in torch's own operators."""
    width = values[0].numel() if len(values) else 1
    accumulator.index_add_(0, rows, values.square().reshape(len(rows), width).mean(1))
    rates = lr / (accumulator[rows] + initial).sqrt()
    parameter.index_add_(0, rows, -rates.reshape(-1, *[1] * (values.dim() - 1)) * values)


def rowwise_adagrad_(
    parameter: Tensor, accumulator: Tensor, rows: Tensor, values: Tensor, lr: float, initial: float
) -> None:
    """One step of row-wise Adagrad, in place and without a gradient, by compiled loops.

    Args:
        parameter: float, shape (rows of the table, ...).
        accumulator: float, shape (rows of the table,): sums of mean squared gradients.
        rows: int64, shape (entries,): which row each entry belongs to; a row may occur several times.
        values: float, shape (entries, ...): gradients.
        lr: learning rate.
        initial: added to the accumulator.
    """
    table = parameter.detach().view(len(parameter), -1).numpy()
    grads = values.contiguous().view(len(rows), table.shape[1]).numpy()
    rates = table.dtype.type(lr), table.dtype.type(initial)
    if grads.shape[1] == 1:
        _adagrad(table[:, 0], accumulator.numpy(), rows.numpy(), grads[:, 0], *rates)
    else:
        _rowwise_adagrad(table, accumulator.numpy(), rows.numpy(), grads, *rates)
    torch.autograd.graph.increment_version((parameter, accumulator))


@compiled
def _adagrad(
    table: np.ndarray, accumulator: np.ndarray, rows: np.ndarray, grads: np.ndarray, lr: float, initial: float
) -> None:
    for entry in range(len(rows)):
        accumulator[rows[entry]] += grads[entry] * grads[entry]
    for entry in range(len(rows)):
        row = rows[entry]
        table[row] -= lr * grads[entry] / np.sqrt(accumulator[row] + initial)


@compiled
def _rowwise_adagrad(
    table: np.ndarray, accumulator: np.ndarray, rows: np.ndarray, grads: np.ndarray, lr: float, initial: float
) -> None:
    width, last = grads.shape[1], len(rows) - 1
    for entry in range(len(rows)):
        prefetch(accumulator, rows[min(entry + AHEAD, last)])
        square = lr * 0
        for k in range(width):
            square += grads[entry, k] * grads[entry, k]
        accumulator[rows[entry]] += square / width
    for entry in range(len(rows)):
        prefetch_row(table, rows[min(entry + AHEAD, last)], width)
        row = rows[entry]
        rate = lr / np.sqrt(accumulator[row] + initial)
        for k in range(width):
            table[row, k] -= rate * grads[entry, k]
