"""Eigenvectors of sparse matrices, from random directions and from earlier ones, against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.models.cooccurrence import eigenvectors
from embedrec.models.cooccurrence.eigenvectors import Start, leading_eigenvectors
from embedrec.models.pair_counts import Pairs

N, DIM = 60, 5


def test_small_matrices_have_all_eigenvectors() -> None:
    """A pair, and a triangle: eigenvalues 1, −1 and 2, −1, −1, of which the positive ones count."""
    starts, ends = np.array([0, 1, 1, 3, 4]), np.array([1, 1, 3, 4, 4])
    pairs = Pairs(starts, ends, np.array([1, 3, 4, 4], dtype=np.int32), np.ones(4, dtype=np.float32))
    values, vectors = leading_eigenvectors(pairs, 4, 3, seed=1, threads=1)
    np.testing.assert_allclose(values, [2, 1, 0, 0], atol=1e-5)
    np.testing.assert_allclose(abs(vectors[:, 0]), [0, 0, *[3**-0.5] * 3], atol=1e-5)
    np.testing.assert_allclose(abs(vectors[:, 1]), [2**-0.5, 2**-0.5, 0, 0, 0], atol=1e-5)
    assert not vectors[:, 2:].any()


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    """A sparse symmetric matrix (N, N), 0 on its diagonal."""
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((N, N)) * (rng.random((N, N)) < 0.3), 1).astype(np.float32)
    return upper + upper.T


def pairs_of(matrix: np.ndarray) -> Pairs:
    a, b = np.nonzero(np.triu(matrix))
    bounds = np.searchsorted(a, np.arange(len(matrix) + 1))
    return Pairs(bounds[:-1], bounds[1:], b.astype(np.int32), matrix[a, b])


def error(matrix: np.ndarray, iterations: int, start: Start | None, **more: Any) -> float:
    """How much the eigenvalues differ from those of NumPy at most."""
    values, _ = leading_eigenvectors(
        pairs_of(matrix), DIM, iterations, **{"seed": 0, "threads": 1, **more}, start=start
    )
    return float(abs(values - np.linalg.eigvalsh(matrix.astype(np.float64))[::-1][:DIM]).max())


def test_earlier_eigenvectors_save_iterations(matrix: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same matrix, but for one item that had no vector; also rotated, and in blocks of a few rows."""
    exact = np.linalg.eigh(matrix.astype(np.float64))[1][:, ::-1][:, :DIM].astype(np.float32)
    order = np.random.default_rng(1).permutation(N)  # old rows are others
    rows = order.copy()
    rows[7] = -1
    vectors = np.zeros_like(exact)
    vectors[order] = exact
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(DIM, DIM)))[0].astype(np.float32)
    for start in (Start(vectors, rows), Start(vectors @ rotation, rows)):
        assert error(matrix, 1, start) < 0.3 * error(matrix, 1, None)
        whole = leading_eigenvectors(pairs_of(matrix), DIM, 1, seed=0, threads=1, start=start)[1]
        with monkeypatch.context() as patch:
            patch.setattr(eigenvectors, "BLOCK_VALUES", 100)
            parts = leading_eigenvectors(pairs_of(matrix), DIM, 1, seed=0, threads=1, start=start)[1]
        np.testing.assert_allclose(abs(parts), abs(whole), atol=1e-4)


def test_a_start_without_directions_is_that_of_random_ones(matrix: np.ndarray) -> None:
    zeros = Start(np.zeros((3, DIM), dtype=np.float32), np.full(N, -1))
    for iterations in (1, 40):
        assert error(matrix, iterations, zeros) == error(matrix, iterations, None)
    ones = Start(np.ones((N, DIM), dtype=np.float32), np.arange(N))  # dependent: the others are random
    assert error(matrix, 60, ones) < 1e-3
