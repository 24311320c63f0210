"""Sums in eight lanes, against one lane after the other in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from embedrec.kernels.simd import LANES, distances, products, products_and_squares, squares


@numba.njit
def lanes_of_products(x, i, y):  # type: ignore[no-untyped-def]
    return products(x, i, y)


@numba.njit
def lanes_of_squares(x, i, y):  # type: ignore[no-untyped-def]
    return squares(x, i, y)


@numba.njit
def lanes_of_distances(x, i, y):  # type: ignore[no-untyped-def]
    return distances(x, i, y)


@numba.njit
def lanes_of_both(x, i, y):  # type: ignore[no-untyped-def]
    return products_and_squares(x, i, y)


TERMS: dict[str, tuple[Any, Callable[[float, float], float]]] = {
    "products": (lanes_of_products, lambda a, b: a * b),
    "squares": (lanes_of_squares, lambda a, b: a * a),
    "distances": (lanes_of_distances, lambda a, b: (a - b) ** 2),
}


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("d", [0, 1, 7, 8, 9, 16, 100])
def test_vector_lanes_give_the_bits_of_scalar_code(name: str, d: int) -> None:
    rng = np.random.default_rng(d)
    x = (rng.normal(size=(3, d)) * 10.0 ** rng.integers(-6, 6, (3, d))).astype(np.float32)
    y = rng.normal(size=d)
    compiled, term = TERMS[name]
    for row in range(3):
        expected = [0.0] * LANES
        for k in range(d - d % LANES):  # what is left beyond the last whole eight is the caller's
            expected[k % LANES] += term(float(x[row, k]), float(y[k]))
        assert compiled(x, row, y) == tuple(expected)
        both = lanes_of_both(x, row, y)
        assert both == (lanes_of_products(x, row, y), lanes_of_squares(x, row, y))
