"""Exact scores of the candidates of an index search, and the best of them.

Sums go in the order of `exact.exact_keys`, eight lanes of float64, so that both give the same bits: the compiler is not
allowed to change it, and eight lanes are what a vector instruction adds at once.
"""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.prefetch import LINE, fetch
from embedrec.kernels.simd import product, product_and_square, square, squared_distance
from embedrec.kernels.topk import replace_worst, sort_heap

_SMALLEST = 2.0**-126  # below it, float32 loses digits
_UP, _DOWN = 2.0**200, 2.0**-200


@numba.njit(nogil=True, cache=True)
def rescore(vectors, queries, rows, metric, best_rows, best_keys):  # type: ignore[no-untyped-def]
    """The k best of the candidates of each query, best first, ties by lower row.

    vectors (n, d), queries (q, d) float32; rows (q, c) int64, each once, −1 for missing
    metric  0 cosine, 1 dot, 2 l2
    best_rows (q, k) int64, best_keys (q, k) float64: written; −1 / −inf for missing
    """
    query = np.empty(vectors.shape[1], dtype=np.float64)
    for i in range(rows.shape[0]):
        if i + 1 < rows.shape[0]:
            fetch_rows(vectors, rows[i + 1])
        own = read_query(queries, i, query)
        keep_best(vectors, rows[i], query, own, metric, best_rows[i], best_keys[i])


@numba.njit(nogil=True, cache=True)
def keep_best(vectors, rows, query, own, metric, found_rows, found_keys):  # type: ignore[no-untyped-def]
    """The k best of the candidates rows (c,) of a query that `read_query` has read: `rescore` for one."""
    k, size = found_rows.shape[0], 0
    for c in range(rows.shape[0]):
        row = rows[c]
        if row < 0:
            continue
        key = _key(vectors, row, query, own, metric)
        if size < k:
            size += 1
        elif key < found_keys[k - 1] or (key == found_keys[k - 1] and row > found_rows[k - 1]):
            continue
        hole = size - 1
        # candidates come approximately best first, so that few entries move
        while hole and (found_keys[hole - 1] < key or (found_keys[hole - 1] == key and found_rows[hole - 1] > row)):
            found_rows[hole], found_keys[hole] = found_rows[hole - 1], found_keys[hole - 1]
            hole -= 1
        found_rows[hole], found_keys[hole] = row, key
    found_rows[size:] = -1
    found_keys[size:] = -np.inf


@numba.njit(nogil=True, cache=True)
def fetch_rows(vectors, rows):  # type: ignore[no-untyped-def]
    """Prefetch vectors of rows (c,), which are scattered in memory."""
    for c in range(rows.shape[0]):
        fetch_row(vectors, max(rows[c], 0))


@numba.njit(nogil=True, cache=True)
def fetch_row(matrix, row):  # type: ignore[no-untyped-def]
    """Prefetch a row of a matrix."""
    d = matrix.shape[1]
    for place in range(0, d, LINE // matrix.itemsize):
        fetch(matrix, row * d + place)


@numba.njit(nogil=True, cache=True)
def score(vectors, queries, rows, metric, keys):  # type: ignore[no-untyped-def]
    """The keys (q, c) float64, written, of the rows (q, c) int64 of each query; −inf at −1. See `rescore`."""
    query = np.empty(vectors.shape[1], dtype=np.float64)
    for i in range(rows.shape[0]):
        own = read_query(queries, i, query)
        for c in range(rows.shape[1]):
            row = rows[i, c]
            keys[i, c] = _key(vectors, row, query, own, metric) if row >= 0 else -np.inf


@numba.njit(nogil=True, cache=True)
def rescan(scores, slack, slope, offset, least, vectors, rows, queries, metric, best_rows, best_keys):  # type: ignore[no-untyped-def]
    """Merge into the k best of each query rows of a block whose approximate score is inconclusive.

    scores  (a, b) float32 approximate scores; no exact one is above slope · (scores + slack) + offset
    slack   (b,) float64; slope, offset (a,) float64
    least   (a,) float64 what the k-th best reaches at least
    rows    (b,) int64 of the block, ascending, and higher than those of blocks before
    best_rows (a, k) int64, best_keys (a, k) float64: heaps by (key, row), written; −1 / −inf for missing
    """
    query = np.empty(vectors.shape[1], dtype=np.float64)
    for i in range(scores.shape[0]):
        own = read_query(queries, i, query)
        heap_rows, heap_keys = best_rows[i], best_keys[i]
        for j in range(scores.shape[1]):
            most = _rounded(slope[i] * (np.float64(scores[i, j]) + slack[j]) + offset[i])
            if most < least[i] or most <= heap_keys[0]:  # a tie with the worst does not replace it: its row is lower
                continue
            key = _key(vectors, rows[j], query, own, metric)
            if key >= least[i] and key > heap_keys[0]:
                replace_worst(heap_rows, heap_keys, rows[j], key)


@numba.njit(nogil=True, cache=True)
def sort_heaps(best_rows, best_keys):  # type: ignore[no-untyped-def]
    """Sort the heaps of `rescan`, or of `topk.merge_best`, in place: best first."""
    for i in range(best_rows.shape[0]):
        sort_heap(best_rows[i], best_keys[i])


@numba.njit(nogil=True, cache=True)
def read_query(queries, i, query):  # type: ignore[no-untyped-def]
    """Write query i as float64 (d,); returns its squared length."""
    for j in range(query.shape[0]):
        query[j] = queries[i, j]
    return square(queries, i, query)


@numba.njit(nogil=True, cache=True)
def _key(vectors, row, query, own, metric):  # type: ignore[no-untyped-def]
    """The key that orders results: the score of a row with a query (d,) float64.

    own  its squared length
    """
    if metric == 2:
        exact = 0 - squared_distance(vectors, row, query)
    elif metric == 1:
        exact = product(vectors, row, query)
    else:
        exact, square_ = product_and_square(vectors, row, query)
        length = np.sqrt(square_ * own)
        exact /= length if length > 0 else 1.0
    return _rounded(exact)


@numba.njit(nogil=True, cache=True, inline="always")
def _rounded(exact):  # type: ignore[no-untyped-def]
    """Round to 24 bits as float32 does, also where float32 would lose them."""
    if abs(exact) < _SMALLEST:
        return np.float64(np.float32(exact * _UP)) * _DOWN
    return np.float64(np.float32(exact))
