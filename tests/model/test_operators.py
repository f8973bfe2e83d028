"""Each operator's compiled loop and its gradient follow the same computation in plain torch, on any ragged batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from sentiment.model import operators
from sentiment.training import optimizer

WIDTH, BUCKETS = 4, 16
LENGTHS = {
    "ragged": [1, 4, 2, 1, 6, 3],
    "one row": [5],
    "one empty row": [1],
    "no rows": [],
    "10,000 positions": [1, 9_000, 1, 998],
}
OPERATORS = ["ngram_bag", "embed", "gated_scan", "max_sum_pool"]


def arguments_of(name: str, lengths: list[int], dtype: torch.dtype) -> list[Any]:
    """Random arguments; those that require gradients come first."""
    chance = torch.Generator().manual_seed(sum(lengths))
    positions = sum(lengths)

    def draw(*shape: int, requires_grad: bool = True) -> Tensor:
        return torch.randn(*shape, generator=chance, dtype=dtype).requires_grad_(requires_grad)

    def buckets(*shape: int) -> Tensor:
        return torch.randint(0, BUCKETS, shape, generator=chance, dtype=torch.int32)

    offsets = torch.tensor([0, *lengths]).cumsum(0)
    token_weights = torch.rand(positions, generator=chance, dtype=dtype)
    token_weights[::7] = 0
    match name:
        case "ngram_bag":
            weights = draw(positions if sum(lengths) % 2 else 1, 4, requires_grad=False)
            return [draw(BUCKETS), buckets(positions, 4), offsets, weights, False]
        case "embed":
            tables = [draw(BUCKETS, 6 * WIDTH), draw(BUCKETS, 2 * WIDTH), draw(2 * WIDTH)]
            return [*tables, buckets(positions), buckets(positions), offsets, token_weights, False]
        case "gated_scan":
            return [draw(positions, 2 * WIDTH), offsets]
        case _:
            return [draw(positions, WIDTH), offsets]


def split(arguments: list[Any]) -> tuple[list[Tensor], Callable[[Any], Callable[..., Tensor]]]:
    """The arguments that are differentiated, and what makes a function of them alone."""
    differentiated = [value for value in arguments if isinstance(value, Tensor) and value.requires_grad]
    return differentiated, lambda function: lambda *values: function(*values, *arguments[len(values) :])


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(operators, "COMPILED_DEVICES", set())
    return


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("name", OPERATORS)
def test_compiled_loops_give_the_values_and_gradients_of_plain_torch(name: str, lengths: list[int]) -> None:
    arguments = arguments_of(name, lengths, torch.float32)
    differentiated, bind = split(arguments)
    compiled, plain = (bind(getattr(operators, function))(*differentiated) for function in (name, f"{name}_plain"))
    torch.testing.assert_close(compiled, plain, atol=1e-5, rtol=1e-4)
    weights = torch.randn(compiled.shape, generator=torch.Generator().manual_seed(1))
    grads = [torch.autograd.grad((values * weights).sum(), differentiated) for values in (compiled, plain)]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3 if len(one) == BUCKETS else 2e-5, rtol=1e-3)


@pytest.mark.parametrize("name", OPERATORS)
def test_without_a_gradient_the_loop_gives_the_same_values(name: str) -> None:
    arguments = arguments_of(name, LENGTHS["ragged"], torch.float32)
    with torch.inference_mode():
        direct = getattr(operators, name)(*arguments)
    assert torch.equal(direct, getattr(operators, name)(*arguments))


@pytest.mark.parametrize("lengths", [LENGTHS["ragged"], LENGTHS["one row"], LENGTHS["one empty row"]])
@pytest.mark.parametrize("suffix", ["", "_plain"])
@pytest.mark.parametrize("name", OPERATORS)
def test_gradients_are_those_of_finite_differences(name: str, suffix: str, lengths: list[int]) -> None:
    differentiated, bind = split(arguments_of(name, lengths, torch.float64))
    function = bind(getattr(operators, name + suffix))
    assert torch.autograd.gradcheck(function, differentiated, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("lengths", [LENGTHS["ragged"], LENGTHS["one row"], LENGTHS["no rows"]])
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_registered_as_torch_expects(name: str, lengths: list[int], sparse: bool) -> None:
    arguments = arguments_of(name, lengths, torch.float32)
    if isinstance(arguments[-1], bool):
        arguments[-1] = sparse
    elif sparse:
        pytest.skip("this operator has no table")
    results = torch.library.opcheck(getattr(torch.ops.sentiment, name), tuple(arguments))
    assert set(results.values()) == {"SUCCESS"}


@pytest.mark.parametrize("name", ["ngram_bag", "embed"])
def test_sparse_gradients_are_the_dense_ones(name: str) -> None:
    arguments = arguments_of(name, LENGTHS["ragged"], torch.float32)
    differentiated, _ = split(arguments)
    tables = differentiated[:2]
    function = getattr(operators, name)
    dense = torch.autograd.grad(function(*arguments[:-1], False).square().sum(), tables)
    sparse = torch.autograd.grad(function(*arguments[:-1], True).square().sum(), tables)
    for one, other in zip(dense, sparse, strict=True):
        assert other.is_sparse
        torch.testing.assert_close(one, other.to_dense())


@pytest.mark.parametrize("shape", [(BUCKETS,), (BUCKETS, 3)])
@pytest.mark.parametrize("entries", [0, 1, 40])
def test_row_wise_adagrad_is_the_same_compiled_and_plain(shape: tuple[int, ...], entries: int) -> None:
    chance = torch.Generator().manual_seed(entries)
    rows = torch.randint(0, BUCKETS, (entries,), generator=chance)
    values = torch.randn(entries, *shape[1:], generator=chance)
    start = torch.randn(shape, generator=chance)
    results = []
    for update in (optimizer.rowwise_adagrad_, optimizer.rowwise_adagrad_plain_):
        parameter, accumulator = start.clone(), torch.ones(BUCKETS)
        update(parameter, accumulator, rows, values, 0.1, 0.5)
        results.append((parameter, accumulator))
    torch.testing.assert_close(*results)


def test_row_wise_adagrad_is_adagrad_where_a_row_is_one_number() -> None:
    ours, theirs = (torch.zeros(5, 1, requires_grad=True) for _ in range(2))
    mine = optimizer.RowwiseAdagrad([ours], lr=0.3, initial_accumulator_value=0.5)
    reference = torch.optim.Adagrad([theirs], lr=0.3, initial_accumulator_value=0.5, eps=0)
    for rows in ([0, 3], [3, 1], [4]):
        index, values = torch.tensor([rows]), torch.arange(1.0, 1 + len(rows))[:, None]
        ours.grad = torch.sparse_coo_tensor(index, values, (5, 1))
        theirs.grad = ours.grad.to_dense()
        mine.step()
        reference.step()
    torch.testing.assert_close(ours, theirs)
    assert ours[2] == 0


def test_row_wise_adagrad_refuses_dense_gradients() -> None:
    parameter = torch.zeros(3, requires_grad=True)
    parameter.grad = torch.ones(3)
    with pytest.raises(RuntimeError, match="expects sparse gradients"):
        optimizer.RowwiseAdagrad([parameter]).step()


@pytest.mark.usefixtures("plain")
def test_the_public_functions_run_plain_torch_where_no_loop_is_compiled() -> None:
    arguments = arguments_of("gated_scan", LENGTHS["ragged"], torch.float32)
    assert operators.gated_scan(*arguments).grad_fn.name() == operators.gated_scan_plain(*arguments).grad_fn.name()
