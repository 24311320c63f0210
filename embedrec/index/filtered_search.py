"""Filtered search: the nearest among allowed vectors, with about the recall of an unfiltered search.

A FAISS selector alone loses recall, as a search visits as many vectors as without a filter, few of which are allowed.
Here a search widens until it has visited as many allowed vectors as an unfiltered search visits vectors. Queries that
still get too few results, or have few allowed vectors near them, are searched exactly, and so are all queries if few
vectors are allowed, which is faster.
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

from embedrec.index.search_parameters import COMPARED_PER_CANDIDATE, faiss_parameters
from embedrec.index.search_settings import SearchSettings
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import exact_search
from embedrec.vectors.faiss_structure import apply_transforms, innermost

SMALL_COUNT = 1 << 12  # allowed vectors up to which an exact search is fastest
SMALL_SHARE = 0.02  # allowed share of the vectors up to which an exact search is fastest
LARGE_SHARE = 0.8  # allowed share from which an unfiltered search finds enough
_SPARE = 1.2  # results of an unfiltered search, as a multiple of the expected need
_CELLS_FACTOR = 2  # cells considered for a query, as a multiple of those that hold enough allowed vectors on average
_SAMPLED_MATCHES = 8  # allowed vectors expected among the nearest that decide whether a region is dense enough
_BLOCK = 1 << 17  # candidates that are rescored at once without a search; more if kernels are loaded
_WITH_SELECTOR = (
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
    """The allowed vectors of a FAISS index.

    labels  (f,) bool whether each FAISS label is allowed
    count   number of allowed labels
    cells   (f,) int64 the cell of each label of an IVF index, −1 for none; else empty
    """

    labels: np.ndarray
    count: int
    cells: np.ndarray

    @property
    def selector(self) -> Any:
        """The FAISS IDSelector of the labels."""
        return faiss.IDSelectorBitmap(np.packbits(self.labels, bitorder="little"))  # type: ignore[call-arg, arg-type]


def cells_of_labels(index: Any, count: int) -> np.ndarray:
    """The cell of each label below `count` of an IVF index: (count,) int64, −1 for none; empty for other types."""
    ivf = innermost(index)
    if not isinstance(ivf, faiss.IndexIVF):
        return np.zeros(0, dtype=np.int64)
    lists: Any = ivf.invlists
    cells = np.full(count, -1, dtype=np.int64)
    for cell in range(ivf.nlist):
        size = lists.list_size(cell)
        if size:
            labels = lists.get_ids(cell)
            cells[faiss.rev_swig_ptr(labels, size)] = cell
            lists.release_ids(cell, labels)
    return cells


Search = Callable[[np.ndarray, int], np.ndarray]  # prepared queries (b, d), c → labels (b, c) among all vectors
Method = Callable[[np.ndarray], np.ndarray]  # prepared queries (b, d) → labels (b, c) among the allowed vectors


def search_subset(
    index: Any, subset: Subset, search: Search, prepared: np.ndarray, count: int, settings: SearchSettings
) -> np.ndarray:
    """The `count` nearest allowed vectors that FAISS finds: labels (q, c ≥ count), −1 for missing.

    search    the unfiltered search of the index
    prepared  queries (q, d) as FAISS takes them

    Labels of compressed vectors come nearest first. All labels of a query with too few results are −1.
    """
    labels = np.full((len(prepared), count), -1, dtype=np.int64)
    remaining = np.arange(len(prepared))
    for method in _methods(index, subset, search, count, settings):
        if not len(remaining):
            break
        results = method(prepared[remaining])
        if results.shape[1] > labels.shape[1]:
            labels = np.pad(labels, ((0, 0), (0, results.shape[1] - labels.shape[1])), constant_values=-1)
        complete = (results >= 0).sum(axis=1) >= count
        labels[remaining[complete], : results.shape[1]] = results[complete]
        remaining = remaining[~complete]
    return labels


def exact_candidates(
    embeddings: Embeddings, queries: np.ndarray, k: int, rows: np.ndarray, *, only: bool
) -> np.ndarray:
    """Candidate rows (q, c ≥ k) that hold the exact k nearest of `rows` (m ≥ k,).

    only  whether these are the only queries of the batch, so that all rows may be candidates
    """
    if only and len(queries) * len(rows) <= (_BLOCK << 3 if "numba" in sys.modules else _BLOCK):
        return np.tile(rows, (len(queries), 1))
    return exact_search(embeddings.vectors, queries, k, embeddings.metric, embeddings.vocab, rows).rows


def is_small(count: int, n: int) -> bool:
    """Whether an exact search is fastest for this number of allowed vectors of n."""
    return count <= SMALL_COUNT or count / n <= SMALL_SHARE


def _methods(index: Any, subset: Subset, search: Search, count: int, settings: SearchSettings) -> list[Method]:
    """The search methods for a subset, the fastest first; none if an exact search is faster."""
    share = subset.count / index.ntotal
    if is_small(subset.count, index.ntotal):
        return []
    methods: list[Method] = []
    if share >= LARGE_SHARE:
        methods.append(partial(_post_filter, search, subset, min(ceil(_SPARE * count / share), index.ntotal)))
    deepest = innermost(index)
    if not isinstance(deepest, _WITH_SELECTOR):
        return methods
    if isinstance(deepest, faiss.IndexIVF):
        visited = max(settings.cells * index.ntotal / deepest.nlist, 2.0 * count)
        method, is_faster = partial(_search_cells, index, subset, count, visited), subset.count > visited
    elif isinstance(deepest, faiss.IndexHNSW):
        ef = ceil(max(settings.candidates, 2 * count) / share)
        method = partial(_search_with_selector, index, subset, count, SearchSettings(ef_search=ef))
        is_faster = subset.count > COMPARED_PER_CANDIDATE * ef
    else:
        return [*methods, partial(_search_with_selector, index, subset, count, settings)]
    return [*methods, partial(_search_dense_queries, search, subset, share, method)] if is_faster else methods


def _post_filter(search: Search, subset: Subset, count: int, prepared: np.ndarray) -> np.ndarray:
    """The allowed ones among `count` results of an unfiltered search."""
    labels = search(prepared, count)
    return np.where((labels >= 0) & subset.labels[labels], labels, -1)


def _search_with_selector(
    index: Any, subset: Subset, count: int, settings: SearchSettings, prepared: np.ndarray
) -> np.ndarray:
    """The results of FAISS with a selector."""
    labels: np.ndarray = index.search(prepared, count, params=faiss_parameters(index, settings, subset.selector))[1]
    return labels


def _search_dense_queries(
    search: Search, subset: Subset, share: float, method: Method, prepared: np.ndarray
) -> np.ndarray:
    """The results of a method for queries near which the allowed share is at least half of the overall share; none for
    the others, whose nearest allowed vectors are scattered far away."""
    nearest = search(prepared, ceil(_SAMPLED_MATCHES / share))
    local_share = ((nearest >= 0) & subset.labels[nearest]).mean(axis=1)
    dense = local_share >= share / 2
    results = method(prepared[dense])
    labels = np.full((len(prepared), results.shape[1]), -1, dtype=np.int64)
    labels[dense] = results
    return labels


def _search_cells(index: Any, subset: Subset, count: int, visited: float, prepared: np.ndarray) -> np.ndarray:
    """The results from the nearest cells of each query that hold `visited` allowed vectors in total; none for queries
    whose considered cells hold fewer."""
    ivf = innermost(index)
    prepared = apply_transforms(index, prepared)
    allowed_in_cell = np.bincount(subset.cells[subset.labels], minlength=ivf.nlist)  # (c,)
    nprobe = min(ivf.nlist, ceil(_CELLS_FACTOR * visited / subset.count * ivf.nlist))
    distances, cells = ivf.quantizer.search(prepared, nprobe)
    allowed = np.where(cells < 0, 0, allowed_in_cell[cells])  # (q, nprobe)
    cumulative = np.cumsum(allowed, axis=1)
    cells[(cumulative - allowed >= visited) | (allowed == 0)] = -1
    cells[cumulative[:, -1] < visited] = -1
    labels = np.full((len(prepared), count), -1, dtype=np.int64)
    scores = np.empty(labels.shape, dtype=np.float32)
    parameters = faiss.SearchParametersIVF(nprobe=nprobe, sel=subset.selector)  # type: ignore[call-arg]
    ivf.search_preassigned_c(
        len(prepared),
        *map(faiss.swig_ptr, (prepared,)),
        count,
        *map(faiss.swig_ptr, (cells, distances, scores, labels)),
        False,
        parameters,
    )
    return labels
