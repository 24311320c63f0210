"""A step of Adagrad for some rows, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.kernels.sparse_optimizers import step_rows
from tests.conftest import read_only


@pytest.mark.parametrize("momentum", [None, 0.0, 0.5])
@pytest.mark.parametrize("rows", [[], [2], [4, 0, 3]])
def test_steps_equal_numpy(momentum: float | None, rows: list[int]) -> None:
    rng = np.random.default_rng(3)
    rate, eps, d = 0.1, 1e-6, 7
    weights, sums, velocity = (rng.normal(size=(5, d)).astype(np.float32) for _ in range(3))
    sums **= 2
    gradient = rng.normal(size=(len(rows), d)).astype(np.float32)
    expected = [table.astype(np.float64) for table in (weights, sums, velocity)]
    for row, g in zip(rows, gradient.astype(np.float64), strict=True):
        expected[1][row] += g * g
        step = -rate * g / np.sqrt(expected[1][row] + eps)
        if momentum is not None:
            step = expected[2][row] = momentum * expected[2][row] + step
        expected[0][row] += step
    named = read_only(np.array(rows, dtype=np.int64))
    moving = momentum is not None
    step_rows(weights, sums, velocity, named, read_only(gradient), rate, momentum or 0.0, eps, moving)
    for table, wanted in zip((weights, sums, velocity), expected, strict=True):
        np.testing.assert_allclose(table, wanted, rtol=1e-5, atol=1e-6)


def test_without_momentum_no_velocity_is_needed() -> None:
    weights, sums = np.ones((2, 3), dtype=np.float32), np.zeros((2, 3), dtype=np.float32)
    velocity = np.zeros((2, 0), dtype=np.float32)
    step_rows(weights, sums, velocity, np.array([1]), np.full((1, 3), 2, np.float32), 0.5, 0.0, 0.0, False)
    assert weights.tolist() == [[1, 1, 1], [0.5, 0.5, 0.5]] and sums.tolist() == [[0, 0, 0], [4, 4, 4]]
