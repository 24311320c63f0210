"""Batches of queries through the graph of an HNSW index, in an order that reads what lies together together.

For graphs over whole vectors. It proposes what FAISS would with as many candidates, but for the last digits of scores.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from embedrec.vectors.faiss_factory import run_parallel

LARGE_BATCH = 64  # queries from which it pays to put them in order
_LONG = 4096  # that take longer than the import of the compiled kernel
_ROOM = 1 << 22  # candidates kept at a time: 32 MB


@dataclass(frozen=True, eq=False)
class Graph:
    """Where FAISS holds a graph, for `kernels.walk`; the index must live as long as this is used.

    places       (7,) int64 addresses and numbers, see `kernels.walk.descend`
    steps        (l + 1,) int64 where the links of each level begin among those of a row
    by_distance  whether vectors are compared by distance instead of product
    begins       (n,) int64, what the second address is of
    """

    places: np.ndarray
    steps: np.ndarray
    by_distance: bool
    begins: np.ndarray

    def upwards(self, level: int, *, alone: bool = False) -> Graph:
        """The graph without the levels below, and where it is `alone` without those above: a search begins at the row
        with which all begin."""
        begins, places = self.begins + self.steps[level], self.places.copy()
        places[1], places[5] = begins.ctypes.data, 0 if alone else places[5] - level
        return Graph(places, self.steps[level:] - self.steps[level], self.by_distance, begins)


def graph_of(index: Any) -> Graph | None:
    """The graph of an HNSW index of whole vectors; None for other indexes."""
    if not isinstance(index, faiss.IndexHNSWFlat) or not index.ntotal:
        return None
    held: Any = index.storage
    vectors: Any = faiss.downcast_index(held)
    return graph_over(index, int(vectors.get_xb()))


def graph_over(index: Any, vectors: int) -> Graph:
    """The graph of an HNSW index, and at an address what its searches compare: (n, d) float32."""
    links: Any = index.hnsw
    n, begins = index.ntotal, links.offsets.data()
    numbers = [vectors, int(begins), int(links.neighbors.data()), n, links.entry_point, links.max_level, index.d]
    return Graph(
        np.array(numbers, dtype=np.int64),
        faiss.vector_to_array(links.cum_nneighbor_per_level).astype(np.int64),
        index.metric_type == faiss.METRIC_L2,
        faiss.rev_swig_ptr(begins, n).view(np.int64),
    )


def is_large_batch(queries: int) -> bool:
    """Whether a batch is large enough."""
    return queries >= (LARGE_BATCH if "numba" in sys.modules else _LONG)


def traversal_order(graph: Graph, queries: np.ndarray) -> np.ndarray:
    """The places of queries (q, d) in an order (q,) in which those that come down the graph the same way follow each
    other: what one has read is still in the cache for the next."""
    from embedrec.kernels.hnsw_search import descend

    path = np.empty((len(queries), max(int(graph.places[5]), 1)), dtype=np.int64)
    run_parallel(
        len(queries), lambda batch: descend(graph.places, graph.steps, queries[batch], graph.by_distance, path[batch])
    )
    return np.lexsort(path.T)


def search_graph(graph: Graph, queries: np.ndarray, reach: int, ef: int) -> np.ndarray:
    """The `reach` nearest vectors among the ef that a search keeps: rows (q, reach) int64, −1 for missing.

    queries  (q, d), best `traversal_order`
    """
    from embedrec.kernels.hnsw_search import descend, walk

    places, steps, keep = graph.places, graph.steps, max(ef, reach)
    block = max(_ROOM // keep, LARGE_BATCH)
    if len(queries) > block:
        parts = range(0, len(queries), block)
        return np.vstack([search_graph(graph, queries[a : a + block], reach, ef) for a in parts])
    labels = np.empty((len(queries), keep), dtype=np.int64)

    def part(batch: slice) -> None:
        chunk = queries[batch]
        path = np.empty((len(chunk), max(int(places[5]), 1)), dtype=np.int64)
        descend(places, steps, chunk, graph.by_distance, path)
        seen = np.zeros(places[3], dtype=np.uint8)
        walk(places, int(steps[1]), path[:, 0], chunk, graph.by_distance, seen, labels[batch])

    run_parallel(len(queries), part)
    return labels[:, :reach]
