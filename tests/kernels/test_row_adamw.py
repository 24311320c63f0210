"""A step of Adam for some rows, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.kernels.row_adamw import step_rows
from tests.conftest import read_only


@pytest.mark.parametrize("rows", [[], [2], [4, 0, 3], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("d", [1, 3, 16])
def test_steps_equal_numpy(rows: list[int], d: int) -> None:
    rng = np.random.default_rng(d)
    rate, first, second, eps = 0.1, 0.9, 0.99, 1e-5
    weights, means, squares = (rng.normal(size=(5, d)).astype(np.float32) for _ in range(3))
    squares **= 2
    expected = [table.astype(np.float64) for table in (weights, means, squares)]
    gradient = rng.normal(size=(len(rows), d)).astype(np.float32)
    for row, g in zip(rows, gradient.astype(np.float64), strict=True):
        expected[1][row] = first * expected[1][row] + (1 - first) * g
        expected[2][row] = second * expected[2][row] + (1 - second) * g * g
        expected[0][row] -= rate * expected[1][row] / (np.sqrt(expected[2][row]) + eps)
    others = np.setdiff1d(np.arange(5), rows)
    before = weights[others].copy()
    step_rows(
        weights, means, squares, read_only(np.array(rows, np.int64)), read_only(gradient), rate, first, second, eps
    )
    for table, wanted in zip((weights, means, squares), expected, strict=True):
        assert table.dtype == np.float32
        np.testing.assert_allclose(table, wanted, rtol=1e-5, atol=1e-6)
    assert (weights[others] == before).all()
