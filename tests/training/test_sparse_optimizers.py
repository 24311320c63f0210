"""Rows of sparse gradients, and the base of optimizers that update only these rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from embedrec.training.sparse_optimizers import RowOptimizer, distinct_rows, has_kernel


class CountingOptimizer(RowOptimizer):
    """Counts its steps, and subtracts the gradient."""

    def __init__(self, parameters: list[Tensor]) -> None:
        super().__init__(parameters, {})

    def initial_state(self, p: Tensor, group: Mapping[str, Any]) -> dict[str, Any]:
        return {"step": 0}

    def update(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        state["step"] += 1
        p.sub_(gradient)


def test_parameters_without_a_gradient_get_no_state() -> None:
    used, unused = (torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2))
    optimizer = CountingOptimizer([used, unused])
    for _ in range(2):
        used.grad = torch.full((2, 2), 0.25)
        optimizer.step()
    assert optimizer.state[used] == {"step": 2} and not optimizer.state[unused]
    assert used.tolist() == [[0.5, 0.5]] * 2 and unused.tolist() == [[1, 1]] * 2


def test_repeated_rows_are_summed() -> None:
    gradient = torch.sparse_coo_tensor(torch.tensor([[3, 0, 3]]), torch.tensor([[1.0], [2.0], [4.0]]), (5, 1))
    rows, values = distinct_rows(gradient)
    assert rows.tolist() == [0, 3] and values.tolist() == [[2], [5]]


def test_ascending_rows_are_used_directly() -> None:
    values = torch.tensor([[1.0], [2.0]])
    rows, result = distinct_rows(torch.sparse_coo_tensor(torch.tensor([[1, 4]]), values, (5, 1)))
    assert rows.tolist() == [1, 4] and torch.equal(result, values)


def test_kernels_need_float32_matrices_on_the_cpu() -> None:
    assert has_kernel(torch.zeros(2, 3))
    assert not has_kernel(torch.zeros(3)) and not has_kernel(torch.zeros(2, 3, dtype=torch.float64))
    assert not has_kernel(torch.zeros(2, 3, device="meta"))
