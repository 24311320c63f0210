"""The number of cells that hold enough of the exact results, found without a search.

A search of p cells finds no result of another cell. The rank of the cell of each result, among the cells ordered by
nearness to the query, therefore bounds the recall of every p at once.
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

from embedrec.index.index import Index
from embedrec.index.measure import RecallSample
from embedrec.vectors.faiss_structure import apply_transforms, innermost

_SLACK = 0.01  # of recall: a share of the queries is looked at, and other results are as near as the last exact one
_QUERIES = 1000  # looked at
_BLOCK = 1 << 25  # comparisons at a time


def cells_needed(index: Index, sample: RecallSample, recall: float) -> int:
    """A number of cells below which no search reaches a recall on the sample; 1 if it is unknown."""
    ivf: Any = innermost(index.faiss)
    quantizer: Any = faiss.downcast_index(ivf.quantizer)
    if not isinstance(quantizer, faiss.IndexFlat) or not sample.k or index.rows is not None:
        return 1
    centroids = quantizer.reconstruct_n(0, ivf.nlist)  # (c, d)
    by_distance = quantizer.metric_type == faiss.METRIC_L2
    halves = np.einsum("ij,ij->i", centroids, centroids) / 2 if by_distance else np.zeros(1, dtype=np.float32)
    every = slice(None, None, max(1, len(sample.queries) // _QUERIES))
    queries, rows = (
        apply_transforms(index.faiss, index.prepare_queries(sample.queries[every])),
        sample.exact.rows[every],
    )
    counts = np.zeros(ivf.nlist + 1, dtype=np.int64)  # results by the number of cells that are nearer than theirs
    step = max(1, _BLOCK // (ivf.nlist * sample.k))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        nearness = queries[part] @ centroids.T - halves  # (b, c)
        own = np.take_along_axis(nearness, index.cells[rows[part]], axis=1)  # (b, k)
        nearer = (nearness[:, None] > own[:, :, None]).sum(axis=2)
        counts += np.bincount(nearer[rows[part] >= 0], minlength=len(counts))
    return 1 + int(np.searchsorted(np.cumsum(counts), (recall - _SLACK) * counts.sum()))
