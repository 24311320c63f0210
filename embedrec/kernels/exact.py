"""Exact scores of the candidates that an index proposed, and the best of them.

Sums go in the order of `embeddings.exact_scores`, eight lanes of float64, so that both give the same bits: the compiler
is not allowed to change it, and eight lanes are what a vector instruction adds at once.
"""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.lanes8 import LANES, distances, products, squares
from embedrec.kernels.memory import LINE, fetch


@numba.njit(nogil=True, cache=True)
def rescore(vectors, queries, rows, metric, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """The k best of the candidates of each query, best first, ties by lower row.

    vectors (n, d), queries (q, d) float32; rows (q, c) int64, each once, −1 for missing
    metric  0 cosine, 1 dot, 2 l2
    best_rows (q, k) int64, best_scores (q, k) float32: written; −1 / −inf for missing
    """
    d, k = vectors.shape[1], best_rows.shape[1]
    query = np.empty(d, dtype=np.float64)
    for i in range(rows.shape[0]):
        if i + 1 < rows.shape[0]:  # what the next query compares is far apart in memory
            for c in range(rows.shape[1]):
                for place in range(0, d, LINE // 4):
                    fetch(vectors, max(rows[i + 1, c], 0) * d + place)
        for j in range(d):
            query[j] = queries[i, j]
        own = _total(squares(queries, i, query), queries[i], query, 0)
        found_rows, found_scores, size = best_rows[i], best_scores[i], 0
        for c in range(rows.shape[1]):
            row = rows[i, c]
            if row < 0:
                continue
            if metric == 2:
                exact = 0 - _total(distances(vectors, row, query), vectors[row], query, 2)
            else:
                exact = _total(products(vectors, row, query), vectors[row], query, 1)
                if metric == 0:
                    length = np.sqrt(_total(squares(vectors, row, query), vectors[row], query, 0) * own)
                    exact /= length if length > 0 else 1.0
            score = np.float32(exact)
            if size < k:
                size += 1
            elif score < found_scores[k - 1] or (score == found_scores[k - 1] and row > found_rows[k - 1]):
                continue
            hole = size - 1
            # candidates come about best first, so that few have to move
            while hole and (
                found_scores[hole - 1] < score or (found_scores[hole - 1] == score and found_rows[hole - 1] > row)
            ):
                found_rows[hole], found_scores[hole] = found_rows[hole - 1], found_scores[hole - 1]
                hole -= 1
            found_rows[hole], found_scores[hole] = row, score
        found_rows[size:] = -1
        found_scores[size:] = -np.inf


@numba.njit(nogil=True, cache=True)
def _total(lanes, x, y, power):  # type: ignore[no-untyped-def]
    """The lanes with what is left of x (d,) and y (d,) beyond the last whole eight, summed.

    power  terms are x² (0), x·y (1), (x − y)² (2)
    """
    a, b, c, d, e, f, g, h = lanes
    whole = x.shape[0] & -LANES
    left = x.shape[0] - whole
    if left > 0:
        a += _term(x[whole], y[whole], power)
    if left > 1:
        b += _term(x[whole + 1], y[whole + 1], power)
    if left > 2:
        c += _term(x[whole + 2], y[whole + 2], power)
    if left > 3:
        d += _term(x[whole + 3], y[whole + 3], power)
    if left > 4:
        e += _term(x[whole + 4], y[whole + 4], power)
    if left > 5:
        f += _term(x[whole + 5], y[whole + 5], power)
    if left > 6:
        g += _term(x[whole + 6], y[whole + 6], power)
    return ((a + e) + (c + g)) + ((b + f) + (d + h))


@numba.njit(nogil=True, cache=True)
def _term(x, y, power):  # type: ignore[no-untyped-def]
    apart = np.float64(x) - np.float64(y)
    return apart * apart if power == 2 else np.float64(x) * (np.float64(y) if power else np.float64(x))
