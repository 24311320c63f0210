"""Adagrad with momentum: two steps by hand, sparse against dense, compiled against torch, through a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from embedrec.training import row_adagrad
from embedrec.training.row_adagrad import RowAdagrad, distinct_rows


@pytest.fixture(autouse=True)
def unchecked() -> Iterator[None]:
    """As in the training loop: sparse tensors are made without a look at their indices, and torch does not warn."""
    with torch.sparse.check_sparse_tensor_invariants(False):  # type: ignore[no-untyped-call]
        yield


def sparse(rows: list[int], values: list[list[float]], shape: tuple[int, int]) -> Tensor:
    return torch.sparse_coo_tensor(torch.tensor([rows]), torch.tensor(values), shape)


def test_two_steps_by_hand() -> None:
    """Three items of one number; the second step names item 1 twice, and item 0 not at all."""
    table = nn.Parameter(torch.tensor([[1.0], [2.0], [3.0]]))
    optimizer = RowAdagrad([table], rate=0.1, momentum=0.5)
    weight, total, velocity = [1.0, 2.0, 3.0], [0.0] * 3, [0.0] * 3
    for rows, values, summed in (
        ([0, 1], [[0.4], [-0.2]], {0: 0.4, 1: -0.2}),
        ([1, 2, 1], [[0.3], [1.0], [0.5]], {1: 0.8, 2: 1.0}),
    ):
        table.grad = sparse(rows, values, (3, 1))
        optimizer.step()
        for row, g in summed.items():
            total[row] += g * g
            velocity[row] = 0.5 * velocity[row] - 0.1 * g / sqrt(total[row] + 1e-6)
            weight[row] += velocity[row]
        np.testing.assert_allclose(table.detach().numpy()[:, 0], weight, rtol=1e-6)
    np.testing.assert_allclose(optimizer.state[table]["sum"].numpy()[:, 0], total, rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.3])
@pytest.mark.parametrize("has_kernel", [True, False])
def test_sparse_steps_of_all_rows_equal_dense_steps(
    momentum: float, has_kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_kernel:
        monkeypatch.setattr(row_adagrad, "has_kernel", lambda tensor: False)
    random = torch.Generator().manual_seed(0)
    start = torch.randn(5, 3, generator=random)
    tables = [nn.Parameter(start.clone()) for _ in range(2)]
    long = nn.Parameter(start.double())  # the plain formula, in torch
    optimizer = RowAdagrad([*tables, long], rate=0.2, momentum=momentum)
    for _ in range(3):
        gradient = torch.randn(5, 3, generator=random)
        order = torch.randperm(5, generator=random)
        tables[0].grad, long.grad = gradient, gradient.double()
        tables[1].grad = torch.sparse_coo_tensor(order[None], gradient[order], (5, 3))
        optimizer.step()
    for table in tables:
        np.testing.assert_allclose(table.detach().numpy(), long.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_rows_without_a_gradient_are_unchanged() -> None:
    table = nn.Parameter(torch.ones(4, 2))
    optimizer = RowAdagrad([table], rate=0.1, momentum=0.9)
    table.grad = sparse([2], [[1.0, -1.0]], (4, 2))
    optimizer.step()
    before = table.detach().clone()
    table.grad = sparse([1], [[1.0, 1.0]], (4, 2))
    optimizer.step()
    assert torch.equal(table[[0, 2, 3]], before[[0, 2, 3]]) and not torch.equal(table[1], before[1])
    table.grad = None
    optimizer.step()


def test_distinct_rows_of_a_gradient() -> None:
    for rows, values in (([1, 3], [[1.0], [2.0]]), ([3, 1, 3], [[0.5], [1.0], [1.5]])):
        distinct, sums = distinct_rows(sparse(rows, values, (5, 1)))
        assert distinct.tolist() == [1, 3] and sums.tolist() == [[1.0], [2.0]]


def test_a_loaded_state_continues_identically() -> None:
    whole, first = (nn.Parameter(torch.ones(3, 2)) for _ in range(2))
    steps = [sparse([0, 2], [[0.1, -0.3], [0.5, 0.2]], (3, 2)), sparse([2], [[0.3, 0.3]], (3, 2))]
    optimizer = RowAdagrad([whole], rate=0.1, momentum=0.5)
    for gradient in steps:
        whole.grad = gradient
        optimizer.step()
    begun = RowAdagrad([first], rate=0.1, momentum=0.5)
    first.grad = steps[0]
    begun.step()
    second = nn.Parameter(first.detach().clone())
    again = RowAdagrad([second], rate=0.1, momentum=0.5)
    again.load_state_dict({**again.state_dict(), "state": begun.state_dict()["state"]})
    second.grad = steps[1]
    again.step()
    assert torch.equal(second, whole)
