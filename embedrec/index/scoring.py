"""Exact scores of what FAISS proposed: its own differ in their last digits between threads and batches, or by far."""

from __future__ import annotations

import sys

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.embeddings import METRICS, Metric, exact_scores
from embedrec.index.sharing import shared
from embedrec.topk import TopK, best_first

_FEW = 1 << 17  # candidates that take less time without the compiled kernel than numba takes to import
_ALONE = 1 << 13  # candidates that one thread scores soon enough


def rescored(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray, k: int, metric: Metric, vocab: Vocab) -> TopK:
    """The k best of the candidates `rows` (q, c ≥ k) by their exact scores: TopK (q, k).

    Few are scored by NumPy, many by a kernel on as many threads as FAISS uses; both give the same bits.
    """
    if rows.size < _FEW and "numba" not in sys.modules:
        return best_first(rows, exact_scores(vectors, queries, rows, metric), vocab).first(k)
    from embedrec.kernels.exact import rescore

    best_rows, best_scores = np.empty((len(rows), k), dtype=np.int64), np.empty((len(rows), k), dtype=np.float32)
    code = METRICS.index(metric)

    def part(here: slice) -> None:
        rescore(vectors, queries[here], rows[here], code, best_rows[here], best_scores[here])

    if rows.size > _ALONE:
        shared(len(rows), part)
    else:
        part(slice(None))
    return TopK(best_rows, best_scores, vocab)
