"""Searches of a graph, against a best-first search over Python lists."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import pytest

from embedrec.kernels.hnsw_search import descend, search_layer, similarity
from tests.conftest import read_only

METRICS = ("product", "distance")


@dataclass(frozen=True)
class Graph:
    """Rows with links on one or more levels, as FAISS holds them."""

    vectors: np.ndarray  # (n, d) float32
    levels: list[list[list[int]]]  # of each row, of each of its levels, the links
    widths: tuple[int, ...]  # links of a row on each level, the lowest first
    entry: int

    @property
    def steps(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.widths)]).astype(np.int64)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the links of each row begin (n,) int64, and the links int32."""
        links: list[int] = []
        begins = []
        for each in self.levels:
            begins.append(len(links))
            for width, level in zip(self.widths, each, strict=False):
                links += level + [-1] * (width - len(level))
        return np.array(begins, dtype=np.int64), np.array(links, dtype=np.int32)


def random_graph(n: int, d: int, seed: int = 0, top: int = 2) -> Graph:
    rng = np.random.default_rng(seed)
    heights = rng.integers(1, top + 2, n)
    entry = int(heights.argmax())
    widths = (6, *[3] * top)
    levels = []
    for row in range(n):
        each = []
        for level in range(heights[row]):
            others = [other for other in np.flatnonzero(heights > level).tolist() if other != row]
            count = rng.integers(0, min(len(others), widths[level]) + 1)
            each.append(rng.choice(others, count, replace=False).tolist() if count else [])
        levels.append(each)
    return Graph(rng.normal(size=(n, d)).astype(np.float32), levels, widths, entry)


def score(graph: Graph, row: int, query: np.ndarray, metric: str) -> float:
    a, b = graph.vectors[row].astype(np.float64), query.astype(np.float64)
    return float(a @ b) if metric == "product" else -float(((a - b) ** 2).sum())


def slow_descent(graph: Graph, query: np.ndarray, metric: str) -> list[int]:
    row, path = graph.entry, []
    for level in range(len(graph.levels[graph.entry]) - 1, 0, -1):
        while True:  # within the links of one row, to each better one
            best = max([row, *graph.levels[row][level]], key=lambda near: score(graph, near, query, metric))
            if best == row:
                break
            row = best
        path.append(row)
    return path[::-1] or [row]


def slow_walk(graph: Graph, start: int, query: np.ndarray, ef: int, metric: str) -> list[int]:
    kept, expanded, met = [start], set(), {start}
    while left := [row for row in kept if row not in expanded]:
        row = left[0]
        expanded.add(row)
        for near in graph.levels[row][0]:
            if near not in met:
                met.add(near)
                kept = sorted([*kept, near], key=lambda other: -score(graph, other, query, metric))[:ef]
    return kept + [-1] * (ef - len(kept))


def addresses(graph: Graph, begins: np.ndarray, links: np.ndarray) -> np.ndarray:
    n, d = graph.vectors.shape
    top = len(graph.levels[graph.entry]) - 1
    pointers = (graph.vectors.ctypes.data, begins.ctypes.data, links.ctypes.data)
    return np.array([*pointers, n, graph.entry, top, d], dtype=np.int64)


@numba.njit
def similarity_of(vectors, row, query, by_distance):  # type: ignore[no-untyped-def]
    return similarity(vectors, row, query, by_distance)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("d", [1, 31, 32, 33, 100])
def test_similarities_equal_numpy(metric: str, d: int) -> None:
    graph = random_graph(5, d)
    query = np.random.default_rng(d).normal(size=d).astype(np.float32)
    results = [similarity_of(graph.vectors, row, query, metric == "distance") for row in range(5)]
    np.testing.assert_allclose(results, [score(graph, row, query, metric) for row in range(5)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "top"), [(1, 0), (2, 1), (40, 2), (60, 3)])
def test_descent_to_the_nearest_row_of_each_level(metric: str, n: int, top: int) -> None:
    graph = random_graph(n, 4, seed=n, top=top)
    begins, links = graph.arrays()
    queries = np.random.default_rng(1).normal(size=(25, 4)).astype(np.float32)
    levels = len(graph.levels[graph.entry]) - 1
    path = np.full((25, max(levels, 1)), -9, dtype=np.int64)
    descend(addresses(graph, begins, links), graph.steps, read_only(queries), metric == "distance", path)
    for query, row in zip(queries, path.tolist(), strict=True):
        assert row == slow_descent(graph, query, metric)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ef", [1, 4, 50])
@pytest.mark.parametrize("count", [0, 1, 8, 19])
def test_a_walk_equals_a_slow_walk(metric: str, ef: int, count: int) -> None:
    graph = random_graph(40, 5, seed=ef)
    begins, links = graph.arrays()
    rng = np.random.default_rng(count)
    queries, starts = rng.normal(size=(count, 5)).astype(np.float32), rng.integers(0, 40, count)
    seen, labels = np.zeros(40, dtype=np.uint8), np.full((count, ef), -9, dtype=np.int64)
    graph_addresses = addresses(graph, begins, links)
    search_layer(
        graph_addresses, graph.widths[0], read_only(starts), read_only(queries), metric == "distance", seen, labels
    )
    assert not seen.any()
    for start, query, row in zip(starts.tolist(), queries, labels.tolist(), strict=True):
        assert row == slow_walk(graph, start, query, ef, metric)


def test_a_walk_that_meets_more_rows_than_its_scratch_holds() -> None:
    """A chain of 5,000 rows that lead uphill, for eight queries at once."""
    n = 5000
    levels = [[[other for other in (row - 1, row + 1) if 0 <= other < n]] for row in range(n)]
    graph = Graph(np.arange(n, dtype=np.float32)[:, None], levels, (2,), 0)
    begins, links = graph.arrays()
    queries, labels = np.ones((9, 1), dtype=np.float32), np.empty((9, 2), dtype=np.int64)
    seen = np.zeros(n, dtype=np.uint8)
    search_layer(addresses(graph, begins, links), 2, np.zeros(9, dtype=np.int64), queries, False, seen, labels)
    assert labels.tolist() == [[n - 1, n - 2]] * 9
    assert not seen.any()
