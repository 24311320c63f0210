"""Batch search of an IVF index, cell by cell instead of query by query.

For uncompressed vectors compared by inner product, which orders unit vectors as distance does. Candidates are those of
FAISS, up to the last digits of scores.
"""

from __future__ import annotations

import sys
from typing import Any

import faiss
import numpy as np

from embedrec.vectors.faiss_structure import run_parallel

_QUERIES_PER_CELL = 2  # from which a search by cells is faster
_MANY_COMPARISONS = 1 << 26  # that take longer than the import of the compiled kernel


def lists_of(index: Any) -> np.ndarray | None:
    """The inverted lists of an IVF index of uncompressed vectors, for `kernels.ivf_scan.scan`: (c, 3) int64 address of
    the vectors, address of the labels, size; None for other indexes. The index must outlive it.
    """
    return list_addresses(index) if isinstance(index, faiss.IndexIVFFlat) else None


def list_addresses(index: Any) -> np.ndarray | None:
    """(c, 3) int64 address of the codes, address of the labels, and size of the inverted lists of an IVF index; None if
    they are not in memory. The index must outlive it."""
    base: Any = index.invlists
    lists: Any = faiss.downcast_InvertedLists(base)
    if not isinstance(lists, faiss.ArrayInvertedLists):
        return None
    sizes = [lists.list_size(c) for c in range(index.nlist)]  # empty lists have no address
    return np.array(
        [(int(lists.get_codes(c)), int(lists.get_ids(c)), size) if size else (0, 0, 0) for c, size in enumerate(sizes)],
        dtype=np.int64,
    ).reshape(-1, 3)


def is_worthwhile(queries: int, nprobe: int, nlist: int, n: int) -> bool:
    """Whether a search by cells is faster than FAISS for this number of queries."""
    kernel_pays = queries * nprobe * (n / nlist) > _MANY_COMPARISONS or "numba" in sys.modules
    return kernel_pays and queries * nprobe >= _QUERIES_PER_CELL * nlist


def search_by_cell(index: Any, lists: np.ndarray, queries: np.ndarray, count: int, nprobe: int) -> np.ndarray:
    """The `count` nearest vectors of the nprobe nearest cells: rows (q, count) int64, unordered, −1 for missing."""
    from embedrec.kernels.ivf_scan import scan_cells

    cells = index.quantizer.search(queries, min(nprobe, len(lists)))[1]  # (q, nprobe)
    rows = np.empty((len(queries), count), dtype=np.int64)
    run_parallel(len(queries), lambda part: scan_cells(lists, cells[part], queries[part], rows[part]))
    return rows
