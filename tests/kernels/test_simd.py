"""Sums over a row, against eight sums of every eighth number in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from embedrec.kernels.simd import LANES, product, product_and_square, square, squared_distance


@numba.njit
def product_of_row(x, i, y):  # type: ignore[no-untyped-def]
    return product(x, i, y)


@numba.njit
def square_of_row(x, i, y):  # type: ignore[no-untyped-def]
    return square(x, i, y)


@numba.njit
def squared_distance_of_row(x, i, y):  # type: ignore[no-untyped-def]
    return squared_distance(x, i, y)


@numba.njit
def both_of_row(x, i, y):  # type: ignore[no-untyped-def]
    return product_and_square(x, i, y)


TERMS: dict[str, tuple[Any, Callable[[float, float], float]]] = {
    "product": (product_of_row, lambda a, b: a * b),
    "square": (square_of_row, lambda a, b: a * a),
    "squared distance": (squared_distance_of_row, lambda a, b: (a - b) ** 2),
}


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("d", [0, 1, 7, 8, 9, 15, 16, 100])
def test_vector_lanes_give_the_bits_of_scalar_code(name: str, d: int) -> None:
    rng = np.random.default_rng(d)
    x = (rng.normal(size=(3, d)) * 10.0 ** rng.integers(-6, 6, (3, d))).astype(np.float32)
    y = rng.normal(size=d)
    compiled, term = TERMS[name]
    for row in range(3):
        lanes = [0.0] * LANES
        for k in range(d):
            lanes[k % LANES] += term(float(x[row, k]), float(y[k]))
        a, b, c, e, f, g, h, i = lanes
        assert compiled(x, row, y) == ((a + f) + (c + h)) + ((b + g) + (e + i))
        assert both_of_row(x, row, y) == (product_of_row(x, row, y), square_of_row(x, row, y))
