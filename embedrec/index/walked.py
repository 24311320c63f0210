"""Batches of queries through the graph of an HNSW index, in an order that reads what lies together together.

For graphs over whole vectors. It proposes what FAISS would with as many candidates, but for the last digits of scores.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

_MANY = 64  # queries from which it pays to put them in order
_LONG = 4096  # that take longer than the import of the compiled kernel
_ROOM = 1 << 22  # candidates kept at a time: 32 MB


@dataclass(frozen=True, eq=False)
class Graph:
    """Where FAISS holds a graph, for `kernels.walk`; the index must live as long as this is used.

    places       (6,) int64 addresses and numbers, see `kernels.walk.descend`
    steps        (l + 1,) int64 where the links of each level begin among those of a row
    by_distance  whether vectors are compared by distance instead of product
    """

    places: np.ndarray
    steps: np.ndarray
    by_distance: bool


def graph_of(index: Any) -> Graph | None:
    """The graph of an HNSW index of whole vectors; None for other indexes."""
    if not isinstance(index, faiss.IndexHNSWFlat) or not index.ntotal:
        return None
    held: Any = index.storage
    vectors: Any = faiss.downcast_index(held)
    links: Any = index.hnsw
    places = [vectors.get_xb(), links.offsets.data(), links.neighbors.data()]
    numbers = [index.ntotal, links.entry_point, links.max_level]
    steps = faiss.vector_to_array(links.cum_nneighbor_per_level).astype(np.int64)
    return Graph(np.array([*map(int, places), *numbers], dtype=np.int64), steps, index.metric_type == faiss.METRIC_L2)


def pays(queries: int) -> bool:
    """Whether a batch is large enough."""
    return queries >= (_MANY if "numba" in sys.modules else _LONG)


def walked(graph: Graph, queries: np.ndarray, reach: int, ef: int) -> np.ndarray:
    """The `reach` nearest vectors among the ef that a search keeps: rows (q, reach) int64, −1 for missing."""
    from embedrec.kernels.walk import descend, walk

    places, steps = graph.places, graph.steps
    q, width, keep = len(queries), int(steps[1]), max(ef, reach)
    block = max(_ROOM // keep, _MANY)
    if q > block:
        return np.vstack([walked(graph, queries[a : a + block], reach, ef) for a in range(0, q, block)])
    path = np.empty((q, max(int(places[5]), 1)), dtype=np.int64)
    found = np.empty((q, keep), dtype=np.int64)
    threads = faiss.omp_get_max_threads()
    step = max(-(-q // threads), 1)

    def first(start: int) -> None:
        here = slice(start, start + step)
        descend(places, steps, queries[here], graph.by_distance, path[here])

    def second(start: int) -> None:
        seen = np.zeros(places[3], dtype=np.uint8)
        walk(places, width, order[start : start + step], path[:, 0], queries, graph.by_distance, seen, found)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(first, range(0, q, step)))
        order = np.lexsort(path.T)  # those that came down the same way follow each other
        list(pool.map(second, range(0, q, step)))
    return found[:, :reach]
