"""Search of an IVF index of byte codes by products of integers, see `kernels.ivf_codes`.

For codes of 8 bits a dimension compared by inner product, which orders unit vectors as distance does. Candidates are
about those of FAISS: here the query is a code, too.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from embedrec.index.ivf_batch import list_addresses
from embedrec.vectors.faiss_structure import run_parallel

_LANES = 16  # codes in a block, see `kernels.byte_products`
_MAX_DIM = 1 << 15  # so that no sum of products exceeds 31 bits
_MAX_VECTORS = 1 << 31  # so that labels have 32 bits, also those of vectors that were removed since
_MANY_COMPARISONS = 1 << 26  # that take longer than the import of the compiled kernel
_SERIAL_COMPARISONS = 1 << 17  # that take less time than the start of threads
_MAX_VISITS = 1 << 22  # held at a time: 64 MB


@dataclass(frozen=True, eq=False)
class ByteCells:
    """Addresses and codes for `kernels.ivf_codes.search_codes`; the index must outlive it.

    lists      (c, 3) int64 address of the codes, address of the labels, and size of each cell
    code_size  bytes of a code
    steps      (2, d) float32 what 1 of a code stands for in each dimension, of centroids and of vectors
    blocks     (⌈c / 16⌉, ⌈d / 4⌉, 16) int32 codes of the centroids
    residual   whether codes are of differences from centroids
    mean_size  vectors of a cell
    """

    lists: np.ndarray
    code_size: int
    steps: np.ndarray
    blocks: np.ndarray
    residual: bool
    mean_size: float


def byte_cells_of(index: Any, d: int) -> ByteCells | None:
    """The cells of an IVF index of byte codes, of which d dimensions are compared; None for other indexes."""
    if not isinstance(index, faiss.IndexIVFScalarQuantizer) or index.sq.qtype != faiss.ScalarQuantizer.QT_8bit:
        return None
    quantizer: Any = faiss.downcast_index(index.quantizer)
    lists = list_addresses(index)
    small = d <= _MAX_DIM and index.ntotal <= _MAX_VECTORS
    if lists is None or not small or not isinstance(quantizer, faiss.IndexFlat):
        return None
    centroids = np.ascontiguousarray(quantizer.reconstruct_n(0, index.nlist)[:, :d])
    least, range_ = centroids.min(axis=0), np.ptp(centroids, axis=0)
    spans = np.where(range_ > 0, range_, 1)
    codes = np.rint(255 * ((centroids - least) / spans)).astype(np.uint8)
    trained = faiss.vector_to_array(index.sq.trained).reshape(2, index.d)  # least value and range of each dimension
    steps = np.stack([spans, trained[1, :d]]).astype(np.float32) / np.float32(255)
    return ByteCells(lists, index.code_size, steps, _blocks(codes), bool(index.by_residual), lists[:, 2].mean())


def _blocks(codes: np.ndarray) -> np.ndarray:
    """Codes (c, d) uint8 as `kernels.ivf_codes.arrange` writes them."""
    c, d = codes.shape
    padded = np.pad(codes, ((0, -c % _LANES), (0, -d % 4)))
    numbers = padded.view("<i4").reshape(-1, _LANES, padded.shape[1] // 4)
    return np.ascontiguousarray(numbers.transpose(0, 2, 1))


def is_worthwhile(queries: int, nprobe: int, nlist: int, n: int) -> bool:
    """Whether the kernel is faster than FAISS for this number of queries."""
    return "numba" in sys.modules or queries * nprobe * (n / nlist) > _MANY_COMPARISONS


def search_bytes(cells: ByteCells, queries: np.ndarray, count: int, nprobe: int) -> np.ndarray:
    """The `count` nearest vectors of the nprobe nearest cells: labels (q, count) int64, the nearest first, −1 for
    missing."""
    probes = min(nprobe, len(cells.lists))
    labels = np.empty((len(queries), count), dtype=np.int64)
    step = max(1, _MAX_VISITS // probes)
    for start in range(0, len(queries), step):
        _search_block(cells, queries[start : start + step], probes, labels[start : start + step])
    return labels


def _search_block(cells: ByteCells, queries: np.ndarray, probes: int, labels: np.ndarray) -> None:
    from embedrec.kernels.ivf_codes import search_codes

    def search(part: slice) -> None:
        search_codes(
            cells.lists, cells.code_size, cells.steps, cells.blocks, cells.residual, probes, queries[part], labels[part]
        )

    if len(queries) * probes * cells.mean_size < _SERIAL_COMPARISONS:
        search(slice(None))
    else:
        run_parallel(len(queries), search)
