"""A graph of near neighbours, to which vectors are linked many at a time.

As Malkov and Yashunin 2018 build it, but those of a batch look for neighbours in the graph as it was before them, so
that they can do so side by side, and what comes of it is the same on any number of threads. A batch is small beside
the graph, and its vectors are drawn from everywhere, so that few miss each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from embedrec.index.hnsw_batch import Graph, graph_over, search_graph
from embedrec.progress import Report, quiet
from embedrec.vectors.faiss_factory import apply_transforms, run_parallel

_FIRST = 256  # vectors that are all compared with each other
_GROWTH = 8  # a batch is an eighth of what is linked
_BATCH = 1 << 15  # and no larger than this
_STORED = 1 << 16  # vectors that FAISS gets at a time


def is_graph(index: Any) -> bool:
    """Whether an index is a graph over whole vectors or over codes of them, with or without transforms before it."""
    while isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return isinstance(index, faiss.IndexHNSWFlat | faiss.IndexHNSWSQ | faiss.IndexHNSWPQ)


def link_vectors(
    index: Any, n: int, vectors: Callable[[slice], np.ndarray], *, seed: int = 0, report: Report = quiet
) -> None:
    """Store n vectors in an empty index that is `is_graph` and trained; each is linked to some of `efConstruction`
    candidates.

    vectors  rows → (m, d) float32; neighbours best lie near each other, which is faster
    report   called as report("progress", done=, total=, unit="vectors")
    """
    graphed: Any = index
    while isinstance(graphed, faiss.IndexPreTransform):
        graphed.ntotal = n
        graphed = faiss.downcast_index(graphed.index)
    graphed.ntotal = n
    whole, links = _store_vectors(graphed, n, lambda block: apply_transforms(index, vectors(block))), graphed.hnsw
    rng = np.random.default_rng(seed)
    levels = _levels(links, n, rng)
    faiss.copy_array_to_vector(levels + 1, links.levels)
    links.prepare_level_tab(n, True)
    order = rng.permutation(n)
    order = order[np.argsort(-levels[order], kind="stable")]
    links.entry_point, links.max_level = int(order[0]), int(levels[order[0]])
    graph = graph_over(graphed, whole.ctypes.data)
    having = np.cumsum(np.bincount(levels)[::-1])[::-1]  # how many vectors have each level
    for level in range(links.max_level, -1, -1):
        above = 0 if level == links.max_level else int(having[level + 1])
        _link_level(
            graph, level, whole, order[: having[level]], above, links.efConstruction, report if level == 0 else quiet
        )


def _store_vectors(index: Any, n: int, vectors: Callable[[slice], np.ndarray]) -> np.ndarray:
    """Give an index all vectors (n, d), unlinked, and return them: its own, where it keeps them whole."""
    held: Any = faiss.downcast_index(index.storage)
    codes = not isinstance(held, faiss.IndexFlat)
    whole = np.empty((n if codes else 0, index.d), dtype=np.float32)
    for start in range(0, n, _STORED):
        block = slice(start, min(start + _STORED, n))
        part = np.ascontiguousarray(vectors(block), dtype=np.float32)
        held.add(part)
        if codes:
            whole[block] = part
    return whole if codes else faiss.rev_swig_ptr(held.get_xb(), n * index.d).reshape(n, index.d)


def _levels(links: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """The highest level of each vector, (n,) int32, as often as FAISS draws it."""
    upto = np.cumsum(faiss.vector_to_array(links.assign_probas))
    return np.minimum(np.searchsorted(upto, rng.random(n), side="right"), len(upto) - 1).astype(np.int32)


def _link_level(
    graph: Graph, level: int, vectors: np.ndarray, rows: np.ndarray, above: int, candidates: int, report: Report
) -> None:
    """Link the rows (m,) that have a level, on which there are no links yet; the levels above it are filled.

    above  how many of them, the first ones, have a higher level; a search may begin at any of these once all are linked
    """
    members, alone = graph.upwards(level), graph.upwards(level, alone=True)
    done = min(_FIRST, len(rows))
    _link_batch(members, rows[:done], np.broadcast_to(rows[:done], (done, done)))
    while done < len(rows):
        stop = min(done + min(max(done // _GROWTH, 1), _BATCH), above if done < above else len(rows))
        batch = np.sort(rows[done:stop])
        _link_batch(
            members, batch, search_graph(alone if done < above else members, vectors[batch], candidates, candidates)
        )
        done = stop
        report("progress", done=done, total=len(rows), unit="vectors")


def _link_batch(graph: Graph, new: np.ndarray, neighbours: np.ndarray) -> None:
    """Link new rows (m,) to the best of what was found for each, (m, c), and these back to them."""
    from embedrec.kernels.hnsw_link import link_back, link_new

    places, by_distance, width = graph.places, graph.by_distance, int(graph.steps[1])
    chosen = np.empty((len(new), width), dtype=np.int64)
    run_parallel(len(new), lambda rows: link_new(places, width, new[rows], neighbours[rows], by_distance, chosen[rows]))
    valid = chosen >= 0
    targets, sources = chosen[valid], np.repeat(new, valid.sum(axis=1))
    order = np.argsort(targets, kind="stable")
    targets, sources = targets[order], sources[order]
    first = np.flatnonzero(np.diff(targets, prepend=-1))  # of each target: its links are one thread's

    def back(part: slice) -> None:
        pairs = slice(first[part.start], first[part.stop] if part.stop < len(first) else None)
        link_back(places, width, targets[pairs], sources[pairs], by_distance)

    run_parallel(len(first), back)


LEAF = 256  # vectors that are not parted any more


_SAMPLE = 512  # of which the direction is found that parts them


_ROUNDS = 2  # of the power iteration


_BLOCK = 1 << 16  # vectors looked at at a time


_RANGE = (1e-8, 1e8)


def local_order(vectors: Callable[[np.ndarray], np.ndarray], n: int, seed: int = 0) -> np.ndarray:
    """All n rows, (n,) int64, ordered by the leaves of a tree that halves along principal axes (McNames 2001).

    vectors  rows (m,) int64 → (m, d) float32
    """
    rng, order = np.random.default_rng(seed), np.arange(n)
    parts = [slice(0, n)]
    while parts:
        part = parts.pop()
        rows = order[part]
        if len(rows) <= LEAF:
            continue
        axis = _principal_axis(vectors(rows if len(rows) <= _SAMPLE else rng.choice(rows, _SAMPLE, replace=False)))
        blocks = range(0, len(rows), _BLOCK)
        along = np.concatenate([vectors(rows[start : start + _BLOCK]) @ axis for start in blocks])
        half = len(rows) // 2
        order[part] = rows[np.argpartition(along, half)]
        middle = part.start + half
        parts += [slice(middle, part.stop), slice(part.start, middle)]
    return order


def _principal_axis(sample: np.ndarray) -> np.ndarray:
    """About the direction (d,) in which vectors (m, d) differ most; zero where they do not differ."""
    apart = sample - sample.mean(axis=0)
    size = float(np.abs(apart).max(initial=0.0))
    if size and not _RANGE[0] < size < _RANGE[1]:  # squares of squares would vanish or overflow
        apart = apart / np.float32(size)
    axis: np.ndarray = apart[np.argmax(np.einsum("ij,ij->i", apart, apart))]
    for _ in range(_ROUNDS):
        axis = axis @ apart.T @ apart
        axis /= np.linalg.norm(axis) or 1.0
    return axis
