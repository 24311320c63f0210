"""The search of one query, against that of batches and all vectors one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.index.ivf_bytes import _blocks
from embedrec.kernels.ivf_codes import search_codes
from embedrec.kernels.ivf_query import search_query
from tests.conftest import read_only


class Cells:
    """Vectors in cells of byte codes of what they differ by from random centroids.

    removed  every so many labels have no row; labels are not rows
    """

    def __init__(self, sizes: list[int], d: int, *, spare: int, removed: int, halves: bool, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = sum(sizes)
        self.vectors = read_only(rng.normal(size=(n, d)).astype(np.float32))
        self.rows = np.empty(0, dtype=np.int64)
        if removed:
            self.rows = rng.permutation(n)
            self.rows[::removed] = -1
        self.codes = [rng.integers(0, 256, (size, d + spare)).astype(np.uint8) for size in sizes]
        self.labels = np.split(rng.permutation(n), np.cumsum(sizes)[:-1])
        each = zip(self.codes, self.labels, strict=True)
        self.lists = read_only(np.array([[c.ctypes.data, m.ctypes.data, len(c)] for c, m in each], dtype=np.int64))
        self.steps = read_only(rng.uniform(0.01, 0.02, (2, d)).astype(np.float32))
        self.blocks = read_only(_blocks(rng.integers(0, 256, (len(sizes), d)).astype(np.uint8)))
        self.halves = read_only(rng.uniform(0, 1, len(sizes) if halves else 0).astype(np.float32))

    def alone(
        self, query: np.ndarray, probes: int, count: int, k: int, metric: int, *, residual: bool
    ) -> tuple[bool, np.ndarray, np.ndarray]:
        arrays = [self.lists, self.steps, self.blocks, self.halves, self.vectors, self.rows]
        sizes = [len(self.lists), self.vectors.shape[1], *self.blocks.shape[:2], len(self.halves)]
        sizes += [len(self.vectors), len(self.rows), self.codes[0].shape[1]]
        search = np.array([*(a.ctypes.data for a in arrays), *sizes, residual, probes, count, metric], dtype=np.int64)
        rows, scores = np.full((1, k), -9, dtype=np.int64), np.full((1, k), 9, dtype=np.float32)
        return search_query(read_only(search), read_only(query), rows, scores), rows, scores

    def batch(
        self, queries: np.ndarray, probes: int, count: int, k: int, metric: int, *, residual: bool
    ) -> tuple[bool, np.ndarray, np.ndarray]:
        rows, scores = np.empty((len(queries), k), dtype=np.int64), np.empty((len(queries), k), dtype=np.float32)
        complete = search_codes(
            self.lists, self.codes[0].shape[1], self.steps, self.blocks, self.halves, residual, probes, queries, count,
            rows[:, :0], self.vectors, self.rows, metric, rows, scores,
        )  # fmt: skip
        return complete, rows, scores


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("d", [1, 7, 64, 70, 128])
@pytest.mark.parametrize(("sizes", "count", "probes"), [
    ([1], 1, 1), ([40, 0, 7], 9, 2), ([5] * 300, 20, 3), ([5] * 300, 20, 200), ([1100, 1, 16, 64], 40, 3),
    ([60] * 200, 30, 90), ([3, 3], 6, 2),
])  # fmt: skip
def test_one_query_finds_what_it_finds_in_a_batch(
    sizes: list[int], count: int, probes: int, d: int, residual: bool
) -> None:
    for seed, (removed, halves, metric) in enumerate([(0, False, 0), (0, True, 1), (5, False, 1)]):
        cells = Cells(sizes, d, spare=d % 3, removed=removed, halves=halves, seed=seed)
        queries = np.random.default_rng(seed).normal(size=(9, d)).astype(np.float32)
        queries[3], queries[5] = 0, 1e16
        k = max(1, count - 2)
        each = [cells.alone(query[None], probes, count, k, metric, residual=residual) for query in queries]
        complete, rows, scores = cells.batch(queries, probes, count, k, metric, residual=residual)
        assert all(one[0] for one in each) == complete
        assert (np.vstack([one[1] for one in each]) == rows).all()
        assert (np.vstack([one[2] for one in each]) == scores).all()


def test_all_cells_give_the_best_of_all_vectors() -> None:
    """With as many candidates as vectors: codes then do not matter."""
    cells = Cells([30, 50, 20], 12, spare=0, removed=0, halves=False, seed=4)
    query = np.random.default_rng(1).normal(size=(1, 12)).astype(np.float32)
    complete, rows, scores = cells.alone(query, 3, 100, 7, 1, residual=True)
    products = cells.vectors.astype(np.float64) @ query[0].astype(np.float64)
    best = np.argsort(-products)[:7]
    assert complete and rows[0].tolist() == best.tolist() and np.allclose(scores[0], products[best])
