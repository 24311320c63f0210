"""Scans of cells, against products of all vectors in the visited cells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from embedrec.kernels.ivf_scan import scan_cells
from tests.conftest import read_only


class Cells:
    """Vectors in cells, whose rows are any numbers."""

    def __init__(self, sizes: list[int], d: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.vectors = [rng.normal(size=(size, d)).astype(np.float32) for size in sizes]
        ends = np.cumsum([0, *sizes])
        numbers = rng.permutation(ends[-1]) * 10**9
        self.rows = [np.ascontiguousarray(numbers[a:b]) for a, b in itertools.pairwise(ends)]

    def addresses(self) -> np.ndarray:
        each = zip(self.vectors, self.rows, strict=True)
        return np.array([[v.ctypes.data, r.ctypes.data, len(r)] for v, r in each], dtype=np.int64)

    def best(self, visited: list[int], query: np.ndarray, k: int) -> list[int]:
        scored = [
            (float(vector @ query), int(row))
            for cell in visited
            if cell >= 0
            for vector, row in zip(self.vectors[cell].astype(np.float64), self.rows[cell], strict=True)
        ]
        return [row for _, row in sorted(scored, reverse=True)[:k]]


@pytest.mark.parametrize("sizes", [[0], [1], [0, 3, 0, 17, 4], [5] * 30, [200, 1]])
@pytest.mark.parametrize(("q", "k"), [(0, 3), (1, 1), (16, 4), (50, 7), (3, 400)])
def test_scanned_cells_return_the_best_products(sizes: list[int], q: int, k: int) -> None:
    cells, rng = Cells(sizes, 6), np.random.default_rng(q)
    probes = min(len(sizes), 4)
    visited = np.array([rng.permutation(len(sizes))[:probes] for _ in range(q)], dtype=np.int64).reshape(q, probes)
    visited[rng.random(visited.shape) < 0.2] = -1
    queries = rng.normal(size=(q, 6)).astype(np.float32)
    result = np.full((q, k), -9, dtype=np.int64)
    scan_cells(cells.addresses(), read_only(visited), read_only(queries), result)
    for row, cells_of_query, query in zip(result.tolist(), visited.tolist(), queries, strict=True):
        expected = cells.best(cells_of_query, query.astype(np.float64), k)
        assert sorted(row) == sorted(expected + [-1] * (k - len(expected)))
        assert row[len(expected) :] == [-1] * (k - len(expected))


@pytest.mark.parametrize("k", [1, 3, 20])
def test_ascending_scores_displace_all_earlier_candidates(k: int) -> None:
    """Every vector displaces another one."""
    cells = Cells([500], 1)
    cells.vectors = [np.linspace(0.1, 1, 500, dtype=np.float32)[:, None]]
    result = np.empty((17, k), dtype=np.int64)
    scan_cells(cells.addresses(), np.zeros((17, 1), dtype=np.int64), np.ones((17, 1), dtype=np.float32), result)
    assert (np.sort(result) == np.sort(cells.rows[0][-k:])).all()


@pytest.mark.parametrize("k", [1, 5])
def test_equal_scores_return_k_distinct_rows(k: int) -> None:
    cells = Cells([40], 2)
    cells.vectors = [np.ones((40, 2), dtype=np.float32)]
    result = np.empty((2, k), dtype=np.int64)
    scan_cells(cells.addresses(), np.zeros((2, 1), dtype=np.int64), np.ones((2, 2), dtype=np.float32), result)
    for row in result.tolist():
        assert len(set(row)) == k and set(row) <= set(cells.rows[0].tolist())
