"""Batch search of an HNSW index, in an order of queries that reuses the cache.

For graphs over uncompressed vectors. Candidates are those of FAISS with the same ef, up to the last digits of scores.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from embedrec.vectors.faiss_structure import run_parallel

LARGE_BATCH = 64  # queries from which ordering them saves time
_LARGE_BATCH_WITHOUT_NUMBA = 4096  # queries that take longer than the import of the compiled kernel
MAX_CANDIDATES = 1 << 22  # held at a time: 32 MB


@dataclass(frozen=True, eq=False)
class Graph:
    """Addresses of a FAISS graph for `kernels.hnsw_search`; the index must outlive it.

    header       (7,) int64 addresses and numbers, see `kernels.hnsw_search.descend`
    link_starts  (l + 1,) int64 where the links of each level start within those of a row
    by_distance  whether vectors are compared by distance rather than by inner product
    offsets      (n,) int64 where the links of each row start; the second address points to it
    """

    header: np.ndarray
    link_starts: np.ndarray
    by_distance: bool
    offsets: np.ndarray

    def upwards(self, level: int, *, single: bool = False) -> Graph:
        """The graph from a level upwards; with `single`, of this level only. Searches start at the entry point of the
        whole graph."""
        offsets, header = self.offsets + self.link_starts[level], self.header.copy()
        header[1], header[5] = offsets.ctypes.data, 0 if single else header[5] - level
        return Graph(header, self.link_starts[level:] - self.link_starts[level], self.by_distance, offsets)


def graph_of(index: Any) -> Graph | None:
    """The graph of an HNSW index of uncompressed vectors; None for other indexes and an empty one."""
    if not isinstance(index, faiss.IndexHNSWFlat) or not index.ntotal:
        return None
    storage: Any = index.storage
    vectors: Any = faiss.downcast_index(storage)
    return graph_over(index, int(vectors.get_xb()))


def graph_over(index: Any, vectors: int) -> Graph:
    """The graph of an HNSW index over the vectors (n, d) float32 at an address."""
    hnsw: Any = index.hnsw
    n, offsets = index.ntotal, hnsw.offsets.data()
    header = [vectors, int(offsets), int(hnsw.neighbors.data()), n, hnsw.entry_point, hnsw.max_level, index.d]
    return Graph(
        np.array(header, dtype=np.int64),
        faiss.vector_to_array(hnsw.cum_nneighbor_per_level).astype(np.int64),
        index.metric_type == faiss.METRIC_L2,
        faiss.rev_swig_ptr(offsets, n).view(np.int64),
    )


def is_large_batch(queries: int) -> bool:
    """Whether this number of queries is faster as a batch than one by one through FAISS."""
    return queries >= (LARGE_BATCH if "numba" in sys.modules else _LARGE_BATCH_WITHOUT_NUMBA)


def traversal_order(graph: Graph, queries: np.ndarray) -> np.ndarray:
    """An order (q,) of queries (q, d) by their path down the levels: neighbouring queries read the same vectors, which
    are still in the cache."""
    from embedrec.kernels.hnsw_search import descend

    path = np.empty((len(queries), max(int(graph.header[5]), 1)), dtype=np.int64)
    run_parallel(
        len(queries),
        lambda part: descend(graph.header, graph.link_starts, queries[part], graph.by_distance, path[part]),
    )
    return np.lexsort(path.T)


def search_graph(graph: Graph, queries: np.ndarray, count: int, ef: int) -> np.ndarray:
    """The `count` nearest of the ef candidates of each query: rows (q, count) int64, −1 for missing.

    queries  (q, d), fastest in `traversal_order`
    """
    from embedrec.kernels.hnsw_search import descend, search_layer

    header, link_starts, kept = graph.header, graph.link_starts, max(ef, count)
    block = max(MAX_CANDIDATES // kept, LARGE_BATCH)
    if len(queries) > block:
        starts = range(0, len(queries), block)
        return np.vstack([search_graph(graph, queries[start : start + block], count, ef) for start in starts])
    labels = np.empty((len(queries), kept), dtype=np.int64)

    def search_part(part: slice) -> None:
        chunk = queries[part]
        path = np.empty((len(chunk), max(int(header[5]), 1)), dtype=np.int64)
        descend(header, link_starts, chunk, graph.by_distance, path)
        visited = np.zeros(header[3], dtype=np.uint8)
        search_layer(header, int(link_starts[1]), path[:, 0], chunk, graph.by_distance, visited, labels[part])

    run_parallel(len(queries), search_part)
    return labels[:, :count]
