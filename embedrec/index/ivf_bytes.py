"""Search of an IVF index of byte codes by products of integers, see `kernels.ivf_codes`.

For codes of 8 bits a dimension compared by inner product, which orders unit vectors as distance does. Candidates are
about those of FAISS: here the query is a code, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import faiss
import numpy as np

from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.index.ivf_batch import list_addresses
from embedrec.vectors.faiss_structure import run_parallel

_LANES = 16  # codes in a block, see `kernels.byte_products`
_MAX_DIM = 1 << 15  # so that no sum of products exceeds 31 bits
_MAX_VECTORS = 1 << 31  # so that labels have 32 bits, also those of vectors that were removed since
_MANY_COMPARISONS = 1 << 26  # that take longer than the import of the compiled kernel
_SERIAL_COMPARISONS = 1 << 17  # that take less time than the start of threads
_MAX_VISITS = 1 << 22  # held at a time by a thread: 64 MB
_FLOAT = np.dtype(np.float32)
_SAME = np.empty(0, dtype=np.int64)  # labels are rows


@dataclass(frozen=True, eq=False)
class ByteCells:
    """Addresses and codes for `kernels.ivf_codes.search_codes`; the index must outlive it.

    lists      (c, 3) int64 address of the codes, address of the labels, and size of each cell
    code_size  bytes of a code
    steps      (2, d) float32 what 1 of a code stands for in each dimension, of centroids and of vectors
    blocks     (≥ ⌈c / 16⌉, ⌈d / 4⌉, 16) int32 codes of the centroids, a multiple of four blocks
    halves     (c,) float32 half the squared norms of the centroids, or (0,), see `search_codes`
    residual   whether codes are of differences from centroids
    mean_size  vectors of a cell
    vectors    (n, d) float32 exact vectors
    """

    lists: np.ndarray
    code_size: int
    steps: np.ndarray
    blocks: np.ndarray
    halves: np.ndarray
    residual: bool
    mean_size: float
    vectors: np.ndarray


def byte_cells_of(index: Any, vectors: np.ndarray) -> ByteCells | None:
    """The cells of an IVF index of byte codes of vectors (n, d), of which d dimensions are compared; None for other
    indexes."""
    d = vectors.shape[1]
    if not isinstance(index, faiss.IndexIVFScalarQuantizer) or index.sq.qtype != faiss.ScalarQuantizer.QT_8bit:
        return None
    quantizer: Any = faiss.downcast_index(index.quantizer)
    lists = list_addresses(index)
    small = d <= _MAX_DIM and index.ntotal <= _MAX_VECTORS
    if lists is None or not small or not isinstance(quantizer, faiss.IndexFlat):
        return None
    whole = quantizer.reconstruct_n(0, index.nlist)
    by_distance = quantizer.metric_type == faiss.METRIC_L2
    halves = np.einsum("ij,ij->i", whole, whole) / 2 if by_distance else np.empty(0, dtype=np.float32)
    centroids = np.ascontiguousarray(whole[:, :d])
    least, range_ = centroids.min(axis=0), np.ptp(centroids, axis=0)
    spans = np.where(range_ > 0, range_, 1)
    codes = np.rint(255 * ((centroids - least) / spans)).astype(np.uint8)
    trained = faiss.vector_to_array(index.sq.trained).reshape(2, index.d)  # least value and range of each dimension
    steps = np.stack([spans, trained[1, :d]]).astype(np.float32) / np.float32(255)
    residual = bool(index.by_residual)
    halves = (halves - halves.min(initial=np.inf)).astype(np.float32)
    return ByteCells(lists, index.code_size, steps, _blocks(codes), halves, residual, lists[:, 2].mean(), vectors)


def _blocks(codes: np.ndarray) -> np.ndarray:
    """Codes (c, d) uint8 as `kernels.ivf_codes.arrange` writes them."""
    c, d = codes.shape
    padded = np.pad(codes, ((0, -c % (4 * _LANES)), (0, -d % 4)))
    numbers = padded.view("<i4").reshape(-1, _LANES, padded.shape[1] // 4)
    return np.ascontiguousarray(numbers.transpose(0, 2, 1))


def is_worthwhile(queries: int, nprobe: int, nlist: int, n: int) -> bool:
    """Whether the kernel is faster than FAISS for this number of queries."""
    return "numba" in sys.modules or queries * nprobe * (n / nlist) > _MANY_COMPARISONS


def search_bytes(cells: ByteCells, queries: np.ndarray, count: int, nprobe: int) -> np.ndarray:
    """The `count` nearest vectors of the nprobe nearest cells: labels (q, count) int64, the nearest first, −1 for
    missing."""
    q = len(queries)
    labels, none = np.empty((q, count), dtype=np.int64), np.empty((q, 0), dtype=np.int64)
    _search(cells, nprobe, queries, count, (_SAME, 0), (labels, none, none.astype(np.float32)))
    return labels


@dataclass(frozen=True, eq=False)
class ByteSearch:
    """A search for the k nearest, by exact scores, of the `count` nearest candidates of the nprobe nearest cells.

    metric  of the exact scores, see `kernels.rescore`
    rows    (f,) int64 the row of each label; None if labels are rows
    """

    cells: ByteCells
    metric: int
    vocab: Vocab
    rows: np.ndarray | None
    k: int
    count: int
    nprobe: int

    def search(self, queries: np.ndarray) -> TopK | None:
        """The k nearest (q, k) of queries; None if they are not contiguous (q, d) float32, finite and of norms below
        2e18, or some have fewer results."""
        if type(queries) is not np.ndarray or queries.dtype is not _FLOAT or queries.ndim != 2:
            return None
        q, d = queries.shape
        if d != self.cells.vectors.shape[1] or not queries.flags.c_contiguous:
            return None
        rows, scores = np.empty((q, self.k), dtype=np.int64), np.empty((q, self.k), dtype=np.float32)
        if q == 1:
            return TopK.checked(rows, scores, self.vocab) if self._search_one(queries, rows, scores) else None
        exact = _SAME if self.rows is None else self.rows, self.metric
        if not _search(self.cells, self.nprobe, queries, self.count, exact, (rows[:, :0], rows, scores)):
            return None
        return TopK.checked(rows, scores, self.vocab)

    @cached_property
    def _search_one(self) -> Callable[[np.ndarray, np.ndarray, np.ndarray], bool]:
        """The search of one query: see `kernels.ivf_query.search_query`."""
        from embedrec.kernels.ivf_query import search_query

        cells, rows = self.cells, _SAME if self.rows is None else self.rows
        arrays = [cells.lists, cells.steps, cells.blocks, cells.halves, cells.vectors, rows]
        (blocks, groups, _), (n, d) = cells.blocks.shape, cells.vectors.shape
        sizes = [len(cells.lists), d, blocks, groups, len(cells.halves), n, len(rows)]
        probes = min(self.nprobe, len(cells.lists))
        numbers = [cells.code_size, cells.residual, probes, self.count, self.metric]
        header = np.array([*(array.ctypes.data for array in arrays), *sizes, *numbers], dtype=np.int64)
        return partial(search_query, header)


def _search(
    cells: ByteCells,
    nprobe: int,
    queries: np.ndarray,
    count: int,
    exact: tuple[np.ndarray, int],
    results: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> bool:
    """`kernels.ivf_codes.search_codes` on several threads if that is faster, and some visits at a time.

    exact    rows and metric
    results  labels, best rows and scores, written
    """
    probes, q, search_codes = min(nprobe, len(cells.lists)), len(queries), _kernel()
    whole = cells.lists, cells.code_size, cells.steps, cells.blocks, cells.halves, cells.residual, probes
    if q * probes * cells.mean_size < _SERIAL_COMPARISONS:
        return bool(search_codes(*whole, queries, count, results[0], cells.vectors, *exact, *results[1:]))
    step, complete = max(1, _MAX_VISITS // probes), []

    def search(part: slice) -> None:
        for start in range(part.start, part.stop, step):
            block = slice(start, min(start + step, part.stop))
            labels, rows, scores = (array[block] for array in results)
            complete.append(search_codes(*whole, queries[block], count, labels, cells.vectors, *exact, rows, scores))

    run_parallel(q, search)
    return all(complete)


@cache
def _kernel() -> Callable[..., bool]:
    """The kernel, which takes a while to import."""
    from embedrec.kernels.ivf_codes import search_codes

    kernel: Callable[..., bool] = search_codes
    return kernel
