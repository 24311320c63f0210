"""Four rows against one, against NumPy in double precision."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from embedrec.kernels.row_blas import LANES, add4, dot4, padded, step4

N = 12


@numba.njit
def dots(x, i, y, rows):  # type: ignore[no-untyped-def]
    return dot4(x, i, y, rows[0], rows[1], rows[2], rows[3])


@numba.njit
def step(x, i, y, rows, gains):  # type: ignore[no-untyped-def]
    step4(x, i, y, rows[0], rows[1], rows[2], rows[3], gains[0], gains[1], gains[2], gains[3])


@numba.njit
def add(x, i, y, rows, gains):  # type: ignore[no-untyped-def]
    add4(x, i, y, rows[0], rows[1], rows[2], rows[3], gains[0], gains[1], gains[2], gains[3])


@pytest.fixture(params=[1, 16, 21, 64])
def tables(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(request.param)
    x, y = rng.normal(size=(2, N, request.param)).astype(np.float32)
    return padded(x, N), padded(y, N)


@pytest.mark.parametrize(("n", "d", "rows"), [(12, 21, 15), (1, 16, 1), (0, 3, 2), (5, 33, 5)])
def test_rows_are_padded_and_aligned(n: int, d: int, rows: int) -> None:
    start = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    x = padded(start, rows)
    width = -(-d // LANES) * LANES
    assert x.shape == (rows, width) and x.dtype == np.float32 and x.ctypes.data % 64 == 0
    assert (x[:n, :d] == start).all() and not x[:, d:].any() and not x[n:].any()
    assert not np.shares_memory(x, start)


@pytest.mark.parametrize("rows", [(0, 1, 2, 3), (11, 4, 4, 0)])
def test_dot_products_equal_numpy(tables: tuple[np.ndarray, np.ndarray], rows: tuple[int, ...]) -> None:
    x, y = tables
    for i in (0, 5, 11):
        result = dots(x, i, y, rows)
        np.testing.assert_allclose(
            result, y[list(rows)].astype(np.float64) @ x[i].astype(np.float64), rtol=1e-4, atol=1e-5
        )


def test_a_step_uses_the_old_values_on_both_sides(tables: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = tables
    old_x, old_y = x.astype(np.float64), y.astype(np.float64)
    rows, gains = (3, 0, 11, 6), tuple(np.float32(g) for g in (0.5, -1.25, 2.0, 0.0))
    step(x, 4, y, rows, gains)
    expected_x, expected_y = old_x.copy(), old_y.copy()
    for row, gain in zip(rows, gains, strict=True):
        expected_x[4] += gain * old_y[row]
        expected_y[row] += gain * old_x[4]
    np.testing.assert_allclose(x, expected_x, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(y, expected_y, rtol=1e-5, atol=1e-5)


def test_add_leaves_the_other_side(tables: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = tables
    old_x, old_y = x.astype(np.float64), y.copy()
    rows, gains = (7, 7, 1, 2), tuple(np.float32(g) for g in (0.5, 0.25, -2.0, 1.0))
    add(x, 0, y, rows, gains)
    old_x[0] += sum(float(gain) * old_y[row].astype(np.float64) for row, gain in zip(rows, gains, strict=True))
    np.testing.assert_allclose(x, old_x, rtol=1e-5, atol=1e-5)
    assert (y == old_y).all()
