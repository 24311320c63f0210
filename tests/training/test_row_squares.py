"""What Adagrad keeps of rows: read from both optimizers, and put back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from embedrec.training.row_adagrad import RowAdagrad
from embedrec.training.row_squares import row_squares, start_squares

Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
ADAGRAD: list[Make] = [lambda tables: torch.optim.Adagrad(tables, 0.1), lambda tables: RowAdagrad(tables, 0.1, 0.5)]


def step(table: nn.Parameter, optimizer: torch.optim.Optimizer, gradient: list[list[float]]) -> None:
    table.grad = torch.tensor(gradient)
    optimizer.step()


@pytest.mark.parametrize("make", ADAGRAD)
def test_squares_are_the_means_of_a_row_and_slow_the_next_step(make: Make) -> None:
    table = nn.Parameter(torch.zeros(3, 2))
    optimizer = make([table])
    assert row_squares([optimizer], table).tolist() == [0, 0, 0]
    step(table, optimizer, [[3.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    squares = row_squares([optimizer], table)
    np.testing.assert_allclose(squares, [5, 0, 1])

    again = nn.Parameter(torch.zeros(3, 2))
    continued = make([again])
    start_squares([torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1), continued], again, squares)
    np.testing.assert_allclose(row_squares([continued], again), squares)
    step(again, continued, [[2.0, 2.0], [2.0, 2.0], [2.0, 2.0]])
    np.testing.assert_allclose(again.detach().numpy()[:, 0], [-0.2 / 3, -0.1, -0.2 / 5**0.5], rtol=1e-4)


def test_an_optimizer_without_sums_has_none() -> None:
    table = nn.Parameter(torch.zeros(2, 2))
    optimizer = torch.optim.AdamW([table], 0.1)
    start_squares([optimizer], table, np.ones(2, dtype=np.float32))
    step(table, optimizer, [[1.0, 1.0], [1.0, 1.0]])
    assert row_squares([optimizer], table).tolist() == [0, 0]
