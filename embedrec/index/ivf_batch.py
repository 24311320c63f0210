"""Batches of queries through the cells of an IVF index, cell by cell instead of query by query.

For indexes that hold whole vectors and compare them by product, which is also the order of distances where all are of
length 1. It proposes what FAISS would, but for the last digits of scores.
"""

from __future__ import annotations

import sys
from typing import Any

import faiss
import numpy as np

from embedrec.vectors.faiss_factory import run_parallel

_SHARED = 2  # queries that visit a cell, on average, from which it pays to go by cells
_LONG = 1 << 26  # vectors compared in all, which take longer than the import of the compiled kernel


def lists_of(index: Any) -> np.ndarray | None:
    """Where an IVF index of whole vectors holds them, for `kernels.cells.scan`: (c, 3) int64; None for other indexes.

    The index must live as long as this is used.
    """
    if not isinstance(index, faiss.IndexIVFFlat):
        return None
    held: Any = index.invlists
    lists: Any = faiss.downcast_InvertedLists(held)
    if not isinstance(lists, faiss.ArrayInvertedLists):
        return None
    sizes = [lists.list_size(c) for c in range(index.nlist)]  # an empty one is nowhere
    each = [
        (int(lists.get_codes(c)), int(lists.get_ids(c)), size) if size else (0, 0, 0) for c, size in enumerate(sizes)
    ]
    return np.array(each, dtype=np.int64)


def is_worthwhile(queries: int, nprobe: int, nlist: int, n: int) -> bool:
    """Whether a batch is large enough."""
    long = queries * nprobe * (n / nlist) > _LONG or "numba" in sys.modules
    return long and queries * nprobe >= _SHARED * nlist


def search_by_cell(index: Any, lists: np.ndarray, queries: np.ndarray, reach: int, nprobe: int) -> np.ndarray:
    """The `reach` nearest vectors among the nprobe nearest cells: rows (q, reach) int64 in no order, −1 for missing."""
    from embedrec.kernels.ivf_scan import scan

    visited = index.quantizer.search(queries, min(nprobe, len(lists)))[1]  # (q, p)
    rows = np.empty((len(queries), reach), dtype=np.int64)
    run_parallel(len(queries), lambda part: scan(lists, visited[part], queries[part], rows[part]))
    return rows
