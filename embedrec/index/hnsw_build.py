"""Build an HNSW graph by linking vectors in batches.

The algorithm is that of Malkov and Yashunin (2018), but the vectors of a batch search the graph as it was before the
batch. So they can run in parallel, and the graph does not depend on the number of threads. A batch is small compared to
the graph and drawn from all vectors, so that few vectors miss neighbours of their own batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from embedrec.index.hnsw_batch import Graph, graph_over, search_graph
from embedrec.progress import Report, quiet
from embedrec.vectors.faiss_structure import apply_transforms, below_transforms, run_parallel

LEAF = 256  # vectors from which `local_order` splits no further
_FIRST_BATCH = 256  # vectors that are all compared with each other
_BATCH_SHARE = 8  # a batch is an eighth of the linked vectors
MAX_BATCH = 1 << 15
_ADD_BLOCK = 1 << 16  # vectors stored at a time
_AXIS_SAMPLE = 512  # vectors from which a principal axis is estimated
_POWER_ITERATIONS = 2
PROJECTION_BLOCK = 1 << 16  # vectors projected at a time
_SAFE_RANGE = (1e-8, 1e8)  # of coordinates, so that fourth powers neither underflow nor overflow


def is_graph(index: Any) -> bool:
    """Whether an index, below its transforms, is a graph over vectors or their codes."""
    return isinstance(below_transforms(index), faiss.IndexHNSWFlat | faiss.IndexHNSWSQ | faiss.IndexHNSWPQ)


def link_vectors(
    index: Any, n: int, vectors: Callable[[slice], np.ndarray], *, seed: int = 0, report: Report = quiet
) -> None:
    """Store and link n vectors in an empty, trained index for which `is_graph` holds. Links are chosen from
    `efConstruction` candidates.

    vectors  rows → (m, d) float32; fastest if neighbouring rows hold similar vectors
    report   called as report("progress", done=, total=, unit="vectors")
    """
    graph_index: Any = index
    while isinstance(graph_index, faiss.IndexPreTransform):
        graph_index.ntotal = n
        graph_index = faiss.downcast_index(graph_index.index)
    graph_index.ntotal = n
    stored = _store_vectors(graph_index, n, lambda block: apply_transforms(index, vectors(block)))
    hnsw, rng = graph_index.hnsw, np.random.default_rng(seed)
    levels = _draw_levels(hnsw, n, rng)
    faiss.copy_array_to_vector(levels + 1, hnsw.levels)
    hnsw.prepare_level_tab(n, True)
    order = rng.permutation(n)
    order = order[np.argsort(-levels[order], kind="stable")]
    hnsw.entry_point, hnsw.max_level = int(order[0]), int(levels[order[0]])
    graph = graph_over(graph_index, stored.ctypes.data)
    members = np.cumsum(np.bincount(levels)[::-1])[::-1]  # number of vectors on each level
    for level in range(hnsw.max_level, -1, -1):
        above = 0 if level == hnsw.max_level else int(members[level + 1])
        level_report = report if level == 0 else quiet
        _link_level(graph, level, stored, order[: members[level]], above, hnsw.efConstruction, level_report)


def _store_vectors(index: Any, n: int, vectors: Callable[[slice], np.ndarray]) -> np.ndarray:
    """Store all vectors (n, d) in an index without links, and return them uncompressed."""
    storage: Any = faiss.downcast_index(index.storage)
    compressed = not isinstance(storage, faiss.IndexFlat)
    copies = np.empty((n if compressed else 0, index.d), dtype=np.float32)
    for start in range(0, n, _ADD_BLOCK):
        block = slice(start, min(start + _ADD_BLOCK, n))
        part = np.ascontiguousarray(vectors(block), dtype=np.float32)
        storage.add(part)
        if compressed:
            copies[block] = part
    return copies if compressed else faiss.rev_swig_ptr(storage.get_xb(), n * index.d).reshape(n, index.d)


def _draw_levels(hnsw: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """The highest level of each vector, (n,) int32, with FAISS's probabilities."""
    cumulative = np.cumsum(faiss.vector_to_array(hnsw.assign_probas))
    return np.minimum(np.searchsorted(cumulative, rng.random(n), side="right"), len(cumulative) - 1).astype(np.int32)


def _link_level(
    graph: Graph, level: int, vectors: np.ndarray, rows: np.ndarray, above: int, candidates: int, report: Report
) -> None:
    """Link the rows (m,) of an empty level; the levels above it are complete.

    above  number of the first rows that are also on a higher level; once all of these are linked, searches start at the
           entry point above
    """
    upper, single = graph.upwards(level), graph.upwards(level, single=True)
    done = min(_FIRST_BATCH, len(rows))
    _link_batch(upper, rows[:done], np.broadcast_to(rows[:done], (done, done)))
    while done < len(rows):
        stop = min(done + min(max(done // _BATCH_SHARE, 1), MAX_BATCH), above if done < above else len(rows))
        batch = np.sort(rows[done:stop])
        searched = single if done < above else upper
        _link_batch(upper, batch, search_graph(searched, vectors[batch], candidates, candidates))
        done = stop
        report("progress", done=done, total=len(rows), unit="vectors")


def _link_batch(graph: Graph, new: np.ndarray, candidates: np.ndarray) -> None:
    """Link new rows (m,) with the best of their candidates (m, c), in both directions."""
    from embedrec.kernels.hnsw_link import link_back, link_new

    header, by_distance, width = graph.header, graph.by_distance, int(graph.link_starts[1])
    neighbours = np.empty((len(new), width), dtype=np.int64)
    run_parallel(
        len(new), lambda part: link_new(header, width, new[part], candidates[part], by_distance, neighbours[part])
    )
    valid = neighbours >= 0
    targets, sources = neighbours[valid], np.repeat(new, valid.sum(axis=1))
    order = np.argsort(targets, kind="stable")
    targets, sources = targets[order], sources[order]
    starts = np.flatnonzero(np.diff(targets, prepend=-1))  # one thread writes all links of a target

    def link_part(part: slice) -> None:
        pairs = slice(starts[part.start], starts[part.stop] if part.stop < len(starts) else None)
        link_back(header, width, targets[pairs], sources[pairs], by_distance)

    run_parallel(len(starts), link_part)


def local_order(vectors: Callable[[np.ndarray], np.ndarray], n: int, seed: int = 0) -> np.ndarray:
    """All n rows, (n,) int64, in the order of the leaves of a tree that halves along principal axes (McNames 2001).

    vectors  rows (m,) int64 → (m, d) float32
    """
    rng, order = np.random.default_rng(seed), np.arange(n)
    parts = [slice(0, n)]
    while parts:
        part = parts.pop()
        rows = order[part]
        if len(rows) <= LEAF:
            continue
        sample = rows if len(rows) <= _AXIS_SAMPLE else rng.choice(rows, _AXIS_SAMPLE, replace=False)
        axis = _principal_axis(vectors(sample))
        starts = range(0, len(rows), PROJECTION_BLOCK)
        projections = np.concatenate([vectors(rows[start : start + PROJECTION_BLOCK]) @ axis for start in starts])
        half = len(rows) // 2
        order[part] = rows[np.argpartition(projections, half)]
        middle = part.start + half
        parts += [slice(middle, part.stop), slice(part.start, middle)]
    return order


def _principal_axis(sample: np.ndarray) -> np.ndarray:
    """Approximately the direction (d,) in which vectors (m, d) vary most; zero if they are equal."""
    centred = sample - sample.mean(axis=0)
    size = float(np.abs(centred).max(initial=0.0))
    if size and not _SAFE_RANGE[0] < size < _SAFE_RANGE[1]:
        centred = centred / np.float32(size)
    axis: np.ndarray = centred[np.argmax(np.einsum("ij,ij->i", centred, centred))]
    for _ in range(_POWER_ITERATIONS):
        axis = axis @ centred.T @ centred
        axis /= np.linalg.norm(axis) or 1.0
    return axis
