"""Searches through all vectors of an index: FAISS proposes, and where its float32 leaves the answer open, an exact
search answers."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from embedrec.data.topk import TopK
from embedrec.index.rescore import rescore
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import exact_search, relative_error

MATMUL_QUERIES = 16  # queries from which a matrix product is faster than FAISS
_LONG = 1 << 25  # pairs, which FAISS compares in the time that the compiled kernels take to load
_TINY = 2.0**-126  # absolute error of a product that vanishes

# queries (q, d), reach → rows (q, reach) int64 and scores (q, reach) float32 as FAISS has them, higher is better
Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def prefers_matmul(queries: int, n: int) -> bool:
    """Whether a matrix product compares so many queries with n vectors sooner than FAISS does."""
    return queries >= MATMUL_QUERIES and ("numba" in sys.modules or queries * n > _LONG)


def search_exact(embeddings: Embeddings, queries: np.ndarray, k: int, subset: np.ndarray | None) -> TopK:
    """The k nearest (q, k) among all vectors, or among some rows (m,) of them."""
    frame = embeddings.frame if subset is None else None
    return exact_search(embeddings.vectors, queries, k, embeddings.metric, embeddings.vocab, subset, frame)


def search_verified(
    embeddings: Embeddings,
    queries: np.ndarray,
    k: int,
    subset: np.ndarray | None,
    ready: np.ndarray,
    search: Search,
    reach: int,
    *,
    apart: bool = True,
) -> TopK:
    """The k nearest (q, k) as a search proposes them, exact also where it may have missed some.

    subset rows (m,) that the search finds, ascending; all where it is None
    ready  (q, d) the queries as the search gets them
    reach  how many it proposes
    apart  whether it sums squared differences (l2) instead of differences of squares
    """
    n = len(embeddings) if subset is None else len(subset)
    rows, scores = search(ready, reach)
    nowhere = ~queries.any(axis=1)
    if embeddings.metric != "l2":  # everything scores 0, of which FAISS may make nothing
        rows[nowhere] = np.arange(reach) if subset is None else subset[:reach]
    results = rescore(embeddings.vectors, queries, rows, k, embeddings.metric, embeddings.vocab)
    if reach == n:
        return results
    sure = results.scores[:, min(k, n) - 1] > _score_bound(embeddings, queries, scores[:, -1].astype(np.float64), apart)
    sure |= nowhere & (embeddings.metric != "l2")
    return replace_results(results, embeddings, queries, np.flatnonzero(~sure), subset)


def replace_results(
    results: TopK, embeddings: Embeddings, queries: np.ndarray, open_: np.ndarray, subset: np.ndarray | None
) -> TopK:
    """The same results (q, k), those of the open queries (m,) from an exact search."""
    if not len(open_):
        return results
    rows, scores, again = (
        results.rows.copy(),
        results.scores.copy(),
        search_exact(embeddings, queries[open_], results.k, subset),
    )
    rows[open_], scores[open_] = again.rows, again.scores
    return TopK(rows, scores, embeddings.vocab)


def _score_bound(embeddings: Embeddings, queries: np.ndarray, last: np.ndarray, apart: bool) -> np.ndarray:
    """What the exact scores of vectors that were not proposed reach at most: (q,) float32.

    last  (q,) float64 the last score that was
    """
    d, error, frame = embeddings.dim, relative_error(embeddings.dim), embeddings.frame
    if embeddings.metric == "cosine":
        return (last + error).astype(np.float32)
    if embeddings.metric == "l2" and apart:
        return (last * (1 - error) + d * _TINY).astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries, dtype=np.float64))
    if embeddings.metric == "dot":
        return (last + error * lengths * frame.longest + d * _TINY).astype(np.float32)
    away = 0.0 if frame.centre is None else float(np.linalg.norm(frame.centre.astype(np.float64)))
    return (last + error * (lengths + frame.longest + away) ** 2 + d * _TINY).astype(np.float32)
