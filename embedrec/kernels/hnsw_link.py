"""Links of a graph of near neighbours: which candidates are kept, and the links back to those that are.

The choice is that of Malkov and Yashunin 2018 (their algorithm 4, with pruned links kept), over FAISS's own arrays.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import carray

from embedrec.kernels.hnsw_search import similarity
from embedrec.kernels.prefetch import LINE, fetch, floats, int32s, int64s


@numba.njit(nogil=True, cache=True, error_model="numpy")
def link_new(graph, width, new, neighbours, by_distance, chosen):  # type: ignore[no-untyped-def]
    """Links of rows that have none yet.

    graph, by_distance  see `walk.descend`; its places are those where the links of each row begin on one level
    width   links of a row on that level
    new     (m,) int64: rows
    neighbours (m, c) int64: candidates of each in any order, −1 for missing; the row itself is passed over
    chosen  (m, width) int64: the links, written, −1 for missing
    """
    d, c = graph[6], neighbours.shape[1]
    vectors, begins = carray(floats(graph[0]), (graph[3], d)), carray(int64s(graph[1]), (graph[3],))
    rows, scores = np.empty(c, dtype=np.int64), np.empty(c, dtype=np.float32)
    for i in range(new.shape[0]):
        count = 0
        for j in range(c):
            if neighbours[i, j] >= 0 and neighbours[i, j] != new[i]:
                rows[count] = neighbours[i, j]
                count += 1
        _by_similarity(vectors, new[i], rows, scores, count, by_distance)
        kept = _diverse(vectors, rows, scores, count, width, 0, by_distance, chosen[i])
        chosen[i, kept:] = -1
        _write(graph, begins[new[i]], width, chosen[i], kept)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def link_back(graph, width, targets, sources, by_distance):  # type: ignore[no-untyped-def]
    """A link from each target to its source. A row without room keeps seven eighths of its links: those in as many
    directions as there are, and then the nearest.

    graph, width, by_distance  see `link_new`
    targets  (p,) int64 rows, the same ones one after the other
    sources  (p,) int64 rows that link to them
    """
    d, least = graph[6], width - width // 8
    vectors, begins = carray(floats(graph[0]), (graph[3], d)), carray(int64s(graph[1]), (graph[3],))
    rows, scores = np.empty(width + 1, dtype=np.int64), np.empty(width + 1, dtype=np.float32)
    chosen = np.empty(width + 1, dtype=np.int64)
    i = 0
    while i < targets.shape[0]:
        row = targets[i]
        links = carray(int32s(graph[2] + 4 * begins[row]), (width,))
        count = 0
        while count < width and links[count] >= 0:
            rows[count] = links[count]
            count += 1
        while i < targets.shape[0] and targets[i] == row:
            rows[count] = sources[i]
            i += 1
            place = 0
            while rows[place] != rows[count]:
                place += 1
            if place < count:
                continue
            count += 1
            if count > width:
                _by_similarity(vectors, row, rows, scores, count, by_distance)
                count = _diverse(vectors, rows, scores, count, width, least, by_distance, chosen)
                rows[:count] = chosen[:count]
        _write(graph, begins[row], width, rows, count)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _by_similarity(vectors, row, rows, scores, count, by_distance):  # type: ignore[no-untyped-def]
    """Put the first `count` rows in order, the most similar to a row first, and write how similar they are.

    Those that are as similar come as if drawn for this row, so that of many equal vectors none is forgotten by all.
    """
    d = vectors.shape[1]
    for j in range(count):
        for k in range(0, d, LINE // 4):
            fetch(vectors, rows[j] * d + k)
    query = vectors[row]
    for j in range(count):
        near = rows[j]
        score, hole = similarity(vectors, near, query, by_distance), j
        while hole > 0 and (
            scores[hole - 1] < score or (scores[hole - 1] == score and _drawn(rows[hole - 1], row) < _drawn(near, row))
        ):
            scores[hole], rows[hole] = scores[hole - 1], rows[hole - 1]
            hole -= 1
        scores[hole], rows[hole] = score, near


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _diverse(vectors, rows, scores, count, most, least, by_distance, chosen):  # type: ignore[no-untyped-def]
    """Choose, the most similar first, `most` rows that are not more similar to those chosen before than to the row they
    are for; then of the others until there are `least`. Returns how many are written to `chosen`.

    rows, scores  of `count` candidates, see `_by_similarity`

    At most half of them are as similar to one chosen before: of many equal vectors, each is linked to others too.
    """
    kept, passed, equal = 0, 0, 0
    for c in range(count):
        near, score = rows[c], scores[c]
        apart, as_similar = kept < most, False
        query, s = vectors[near], 0
        while apart and s < kept:
            close = similarity(vectors, chosen[s], query, by_distance)
            as_similar = as_similar or close == score
            apart = close <= score and not (as_similar and 2 * equal >= most)
            s += 1
        if apart:
            chosen[kept] = near
            kept += 1
            equal += as_similar
        else:
            rows[passed] = near
            passed += 1
    for j in range(min(passed, least - kept)):
        chosen[kept] = rows[j]
        kept += 1
    return kept


@numba.njit(nogil=True, cache=True)
def _drawn(near, row):  # type: ignore[no-untyped-def]
    """A number of a pair of rows that tells nothing about them."""
    mixed = np.uint64(near) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(row) * np.uint64(0xC2B2AE3D27D4EB4F)
    return (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)


@numba.njit(nogil=True, cache=True)
def _write(graph, begin, width, rows, count):  # type: ignore[no-untyped-def]
    """Set the links of a row, −1 after the last."""
    links = carray(int32s(graph[2] + 4 * begin), (width,))
    for j in range(width):
        links[j] = rows[j] if j < count else -1
