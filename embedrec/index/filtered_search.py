"""Searches among some of the items only, which find what an exact search among them would.

A FAISS selector alone loses what it should find: cells and graphs visit as many vectors as before, of which few are
left. Here a search goes as far as it takes to meet as many of the allowed vectors as one without a filter meets
vectors; queries that still come short, or lie where little is allowed, are compared exactly. So are all where few
vectors are allowed, which takes no longer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import faiss
import numpy as np

from embedrec.index.faiss_parameters import faiss_parameters
from embedrec.index.search_settings import SearchSettings
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import exact_search
from embedrec.vectors.faiss_factory import apply_transforms, innermost

SMALL_COUNT = 1 << 12  # vectors that are compared sooner than anything else is done
SMALL_SHARE = 0.02  # of the vectors: the same
LARGE_SHARE = 0.8  # of the vectors: from here on a search finds the others too, and leaves them out
_SPARE = 1.2  # results, in units of what is needed, that a search finds before the others are left out
_WIDE = 2  # cells, in units of those that hold enough on average, that are looked at for a query
_NEAR = 8  # vectors that are meant, on average, among those that tell whether a query lies among them
_STEPS = 32  # vectors that a walk through a graph compares for each candidate it keeps
_BLOCK = 1 << 17  # candidates that are scored at once instead of being searched; more where kernels are loaded
_SELECTING = (
    faiss.IndexFlat,
    faiss.IndexScalarQuantizer,
    faiss.IndexIVFFlat,
    faiss.IndexIVFScalarQuantizer,
    faiss.IndexIVFPQ,
    faiss.IndexIVFPQFastScan,
    faiss.IndexHNSW,
)


@dataclass(frozen=True, eq=False)
class Subset:
    """Some vectors of a FAISS index.

    labels    (f,) bool which of FAISS's labels are theirs
    count     how many
    cells     (f,) int64 the cell of each label of an IVF index, −1 for none; else empty
    """

    labels: np.ndarray
    count: int
    cells: np.ndarray

    @property
    def selector(self) -> Any:
        """They, as FAISS has them said."""
        return faiss.IDSelectorBitmap(np.packbits(self.labels, bitorder="little"))  # type: ignore[call-arg, arg-type]


def cells_of_labels(index: Any, count: int) -> np.ndarray:
    """The cell of each label below `count` of an IVF index: (count,) int64, −1 for none; empty for other types."""
    ivf = innermost(index)
    if not isinstance(ivf, faiss.IndexIVF):
        return np.zeros(0, dtype=np.int64)
    held: Any = ivf.invlists
    cells = np.full(count, -1, dtype=np.int64)
    for cell in range(ivf.nlist):
        size = held.list_size(cell)
        if size:
            labels = held.get_ids(cell)
            cells[faiss.rev_swig_ptr(labels, size)] = cell
            held.release_ids(cell, labels)
    return cells


Method = Callable[[np.ndarray], np.ndarray]


def search_among(
    index: Any,
    subset: Subset,
    search: Callable[[np.ndarray, int], np.ndarray],
    ready: np.ndarray,
    reach: int,
    settings: SearchSettings,
) -> np.ndarray:
    """The `reach` nearest of some vectors, as FAISS finds them: labels (q, c ≥ reach), −1 for missing.

    search  queries (b, d), k → labels (b, k) of all vectors: how the index is searched without a filter
    ready   queries (q, d) as FAISS gets them

    Those of compressed vectors come with the nearest first. A row of −1 throughout is that of a query that came short.
    """
    labels = np.full((len(ready), reach), -1, dtype=np.int64)
    left = np.arange(len(ready))
    for way in _methods(index, subset, search, reach, settings):
        if not len(left):
            break
        result = way(ready[left])
        if result.shape[1] > labels.shape[1]:
            labels = np.pad(labels, ((0, 0), (0, result.shape[1] - labels.shape[1])), constant_values=-1)
        good = (result >= 0).sum(axis=1) >= reach
        labels[left[good], : result.shape[1]] = result[good]
        left = left[~good]
    return labels


def exact_candidates(
    embeddings: Embeddings, queries: np.ndarray, k: int, rows: np.ndarray, *, alone: bool
) -> np.ndarray:
    """Rows (q, c ≥ k) among which the k nearest of `rows` (m ≥ k,) are, exactly.

    alone  whether no other queries are answered beside them, so that it may be all of the rows
    """
    if alone and len(queries) * len(rows) <= (_BLOCK << 3 if "numba" in sys.modules else _BLOCK):
        return np.tile(rows, (len(queries), 1))
    return exact_search(embeddings.vectors, queries, k, embeddings.metric, embeddings.vocab, rows).rows


def is_small(count: int, n: int) -> bool:
    """Whether so many of n vectors are compared exactly sooner than anything else is done."""
    return count <= SMALL_COUNT or count / n <= SMALL_SHARE


def _methods(
    index: Any,
    subset: Subset,
    search: Callable[[np.ndarray, int], np.ndarray],
    reach: int,
    settings: SearchSettings,
) -> list[Method]:
    """How to find some vectors, the fastest first; none where comparing them all exactly is faster."""
    share = subset.count / index.ntotal
    if is_small(subset.count, index.ntotal):
        return []
    ways: list[Method] = []
    if share >= LARGE_SHARE:
        ways.append(partial(_post_filter, search, subset, min(ceil(_SPARE * reach / share), index.ntotal)))
    deepest = innermost(index)
    if not isinstance(deepest, _SELECTING):
        return ways
    if isinstance(deepest, faiss.IndexIVF):
        met = max(settings.cells * index.ntotal / deepest.nlist, 2.0 * reach)
        way, worth = partial(_search_cells, index, subset, reach, met), subset.count > met
    elif isinstance(deepest, faiss.IndexHNSW):
        ef = ceil(max(settings.candidates, 2 * reach) / share)
        walk = SearchSettings(ef_search=ef)
        way, worth = partial(_search_with_selector, index, subset, reach, walk), subset.count > _STEPS * ef
    else:
        return [*ways, partial(_search_with_selector, index, subset, reach, settings)]
    return [*ways, partial(_search_dense_queries, search, subset, share, way)] if worth else ways


def _post_filter(
    search: Callable[[np.ndarray, int], np.ndarray], subset: Subset, wide: int, ready: np.ndarray
) -> np.ndarray:
    """What is found of all vectors, without those that are not meant."""
    labels = search(ready, wide)
    return np.where((labels >= 0) & subset.labels[labels], labels, -1)


def _search_with_selector(
    index: Any, subset: Subset, reach: int, settings: SearchSettings, ready: np.ndarray
) -> np.ndarray:
    """What FAISS finds with a selector."""
    labels: np.ndarray = index.search(ready, reach, params=faiss_parameters(index, settings, subset.selector))[1]
    return labels


def _search_dense_queries(
    search: Callable[[np.ndarray, int], np.ndarray], subset: Subset, share: float, way: Method, ready: np.ndarray
) -> np.ndarray:
    """What is found by a way of queries that have about as many of what is meant near them as there are elsewhere:
    of the others, what is nearest lies scattered far away."""
    near = search(ready, ceil(_NEAR / share))
    met = ((near >= 0) & subset.labels[near]).mean(axis=1)
    good = met >= share / 2
    rows = way(ready[good])
    all_ = np.full((len(ready), rows.shape[1]), -1, dtype=np.int64)
    all_[good] = rows
    return all_


def _search_cells(index: Any, subset: Subset, reach: int, met: float, ready: np.ndarray) -> np.ndarray:
    """What is found in the nearest cells of each query until they held as many as were to be met; nothing where the
    nearest of them do not hold so many."""
    ivf = innermost(index)
    ready = apply_transforms(index, ready)
    held = np.bincount(subset.cells[subset.labels], minlength=ivf.nlist)  # (c,) vectors that are meant
    nprobe = min(ivf.nlist, ceil(_WIDE * met / subset.count * ivf.nlist))
    distances, cells = ivf.quantizer.search(ready, nprobe)
    matches = np.where(cells < 0, 0, held[cells])  # (q, p)
    until = np.cumsum(matches, axis=1)
    cells[(until - matches >= met) | (matches == 0)] = -1
    cells[until[:, -1] < met] = -1
    labels = np.full((len(ready), reach), -1, dtype=np.int64)
    scores = np.empty(labels.shape, dtype=np.float32)
    parameters = faiss.SearchParametersIVF(nprobe=nprobe, sel=subset.selector)  # type: ignore[call-arg]
    ivf.search_preassigned_c(
        len(ready),
        *map(faiss.swig_ptr, (ready,)),
        reach,
        *map(faiss.swig_ptr, (cells, distances, scores, labels)),
        False,
        parameters,
    )
    return labels
