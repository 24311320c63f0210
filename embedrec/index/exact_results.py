"""Exact results from the candidates of FAISS.

FAISS's scores differ in their last digits between threads and batches, those of compressed vectors by more. Candidates
are therefore scored again in float64; where a float32 search may have missed a result, an exact search replaces it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from embedrec.data.topk import TopK, sort_by_keys
from embedrec.data.vocab import Vocab
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.exact_search import METRICS, exact_keys, exact_search, relative_error
from embedrec.vectors.faiss_structure import run_parallel

MATMUL_QUERIES = 16  # queries from which a matrix product is faster than FAISS
_MANY_PAIRS = 1 << 25  # pairs that FAISS compares in the time that the compiled kernels take to load
_NUMPY_CANDIDATES = 1 << 17  # candidates that NumPy scores in less time than numba takes to import
SERIAL_CANDIDATES = 1 << 13  # candidates up to which one thread is as fast as several
_TINY = 2.0**-126  # absolute error of a product that underflows

# queries (q, d), c → candidate rows (q, c) int64 and FAISS's scores (q, c) float32, higher is better
Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def rescore(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray, k: int, metric: Metric, vocab: Vocab) -> TopK:
    """The k best of the candidate rows (q, c) by their exact scores: TopK (q, k), missing results −1 / −inf.

    NumPy scores few candidates, a kernel on as many threads as FAISS uses scores many; both give the same bits.
    """
    if _suits_numpy(rows):
        rows = np.pad(rows, ((0, 0), (0, max(k - rows.shape[1], 0))), constant_values=-1)
        return sort_by_keys(rows, exact_keys(vectors, queries, rows, metric), vocab).first(k)
    from embedrec.kernels.rescore import rescore

    best_rows, best_keys = np.empty((len(rows), k), dtype=np.int64), np.empty((len(rows), k))
    code = METRICS.index(metric)
    _run_in_parts(
        rows, lambda part: rescore(vectors, queries[part], rows[part], code, best_rows[part], best_keys[part])
    )
    return TopK(best_rows, best_keys, vocab)


def score_keys(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray, metric: Metric) -> np.ndarray:
    """The keys that candidate rows (q, c) are ordered by: (q, c) float64, −inf at row −1; see `exact_keys`."""
    if _suits_numpy(rows):
        return np.where(rows < 0, -np.inf, exact_keys(vectors, queries, rows, metric))
    from embedrec.kernels.rescore import score

    keys, code = np.empty(rows.shape), METRICS.index(metric)
    _run_in_parts(rows, lambda part: score(vectors, queries[part], rows[part], code, keys[part]))
    return keys


class _NumpyBudget:
    """The candidates that NumPy may still score in this process."""

    left = _NUMPY_CANDIDATES

    @classmethod
    def take(cls, candidates: int) -> bool:
        """Take a number of candidates from the budget; whether it sufficed."""
        cls.left -= candidates
        return cls.left > 0


def _suits_numpy(rows: np.ndarray) -> bool:
    """Whether NumPy scores candidates (q, c): the first ones of a process that has not loaded numba yet."""
    return "numba" not in sys.modules and _NumpyBudget.take(rows.size)


def _run_in_parts(rows: np.ndarray, work: Callable[[slice], None]) -> None:
    """Call `work` with slices of the queries, on several threads if that is faster."""
    if rows.size > SERIAL_CANDIDATES:
        run_parallel(len(rows), work)
    else:
        work(slice(None))


def prefers_matmul(queries: int, n: int) -> bool:
    """Whether a matrix product compares this number of queries with n vectors faster than FAISS."""
    return queries >= MATMUL_QUERIES and ("numba" in sys.modules or queries * n > _MANY_PAIRS)


def search_exact(embeddings: Embeddings, queries: np.ndarray, k: int, subset: np.ndarray | None) -> TopK:
    """The k nearest (q, k) of all vectors, or of some rows (m,)."""
    frame = embeddings.frame if subset is None else None
    return exact_search(embeddings.vectors, queries, k, embeddings.metric, embeddings.vocab, subset, frame)


def search_verified(
    embeddings: Embeddings,
    queries: np.ndarray,
    k: int,
    subset: np.ndarray | None,
    prepared: np.ndarray,
    search: Search,
    count: int,
    *,
    difference_first: bool = True,
) -> TopK:
    """The exact k nearest (q, k), from the candidates of a float32 search and, where it may have missed some, from an
    exact search.

    subset            rows (m,) that the search finds, ascending; None for all
    prepared          (q, d) the queries as `search` takes them
    count             number of candidates
    difference_first  whether the search squares differences (l2) rather than subtracting squares
    """
    n = len(embeddings) if subset is None else len(subset)
    rows, scores = search(prepared, count)
    zero = ~queries.any(axis=1)
    if embeddings.metric != "l2":  # all scores are 0, for which FAISS may return nothing
        rows[zero] = np.arange(count) if subset is None else subset[:count]
    results = rescore(embeddings.vectors, queries, rows, k, embeddings.metric, embeddings.vocab)
    if count == n:
        return results
    bound = _score_bound(embeddings, queries, scores[:, -1].astype(np.float64), difference_first)
    certain = results.scores[:, min(k, n) - 1] > bound
    certain |= zero & (embeddings.metric != "l2")
    return replace_results(results, embeddings, queries, np.flatnonzero(~certain), subset)


def replace_results(
    results: TopK, embeddings: Embeddings, queries: np.ndarray, uncertain: np.ndarray, subset: np.ndarray | None
) -> TopK:
    """The results (q, k), those of the uncertain queries (m,) replaced by an exact search."""
    if not len(uncertain):
        return results
    exact = search_exact(embeddings, queries[uncertain], results.k, subset)
    rows, scores = results.rows.copy(), results.scores.copy()
    rows[uncertain], scores[uncertain] = exact.rows, exact.scores
    return TopK(rows, scores, embeddings.vocab)


def _score_bound(embeddings: Embeddings, queries: np.ndarray, last: np.ndarray, difference_first: bool) -> np.ndarray:
    """Upper bound of the exact scores of vectors that are no candidates: (q,) float32.

    last  (q,) float64 the score of the last candidate
    """
    d, error, frame = embeddings.dim, relative_error(embeddings.dim), embeddings.frame
    if embeddings.metric == "cosine":
        return (last + error).astype(np.float32)
    if embeddings.metric == "l2" and difference_first:
        return (last * (1 - error) + d * _TINY).astype(np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", queries, queries, dtype=np.float64))
    if embeddings.metric == "dot":
        return (last + error * norms * frame.max_norm + d * _TINY).astype(np.float32)
    offset = 0.0 if frame.centre is None else float(np.linalg.norm(frame.centre.astype(np.float64)))
    return (last + error * (norms + frame.max_norm + offset) ** 2 + d * _TINY).astype(np.float32)
