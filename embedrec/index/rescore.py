"""Exact scores of what FAISS proposed: its own differ in their last digits between threads and batches, or by far."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from embedrec.data.topk import TopK, in_order
from embedrec.data.vocab import Vocab
from embedrec.vectors.embeddings import Metric
from embedrec.vectors.exact_search import METRICS, exact_keys
from embedrec.vectors.faiss_factory import run_parallel

_FEW = 1 << 17  # candidates that take less time without the compiled kernel than numba takes to import
_ALONE = 1 << 13  # candidates that one thread scores soon enough


def rescore(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray, k: int, metric: Metric, vocab: Vocab) -> TopK:
    """The k best of the candidates `rows` (q, c ≥ k) by their exact scores: TopK (q, k).

    Few are scored by NumPy, many by a kernel on as many threads as FAISS uses; both give the same bits.
    """
    if _few(rows):
        return in_order(rows, exact_keys(vectors, queries, rows, metric), vocab).first(k)
    from embedrec.kernels.rescore import rescore

    best_rows, best_keys = np.empty((len(rows), k), dtype=np.int64), np.empty((len(rows), k))
    code = METRICS.index(metric)
    _run_in_parts(
        rows, lambda part: rescore(vectors, queries[part], rows[part], code, best_rows[part], best_keys[part])
    )
    return TopK(best_rows, best_keys, vocab)


def score_keys(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray, metric: Metric) -> np.ndarray:
    """What the candidates `rows` (q, c) are ordered by: (q, c) float64, −inf at −1; see `exact.exact_keys`."""
    if _few(rows):
        return np.where(rows < 0, -np.inf, exact_keys(vectors, queries, rows, metric))
    from embedrec.kernels.rescore import score

    keys, code = np.empty(rows.shape), METRICS.index(metric)
    _run_in_parts(rows, lambda part: score(vectors, queries[part], rows[part], code, keys[part]))
    return keys


def _few(rows: np.ndarray) -> bool:
    return rows.size < _FEW and "numba" not in sys.modules


def _run_in_parts(rows: np.ndarray, work: Callable[[slice], None]) -> None:
    """Do the work on all queries, on several threads where that takes less time."""
    if rows.size > _ALONE:
        run_parallel(len(rows), work)
    else:
        work(slice(None))
