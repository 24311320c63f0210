"""Links of an HNSW graph in FAISS's arrays, in both directions.

Neighbours are selected by algorithm 4 of Malkov and Yashunin (2018), with pruned links count_selected.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import carray

from embedrec.kernels.hnsw_search import similarity
from embedrec.kernels.prefetch import LINE, fetch, floats, int32s, int64s


@numba.njit(nogil=True, cache=True, error_model="numpy")
def link_new(graph, width, new, candidates, by_distance, neighbours):  # type: ignore[no-untyped-def]
    """Link rows that have no links yet.

    graph, by_distance  see `hnsw_search.descend`; the offsets of links are those of one level
    width       links of a row on that level
    new         (m,) int64 rows
    candidates  (m, c) int64 in any order, −1 for missing; the row itself is ignored
    neighbours  (m, width) int64, written: the links, −1 for missing
    """
    d, c = graph[6], candidates.shape[1]
    vectors, offsets = carray(floats(graph[0]), (graph[3], d)), carray(int64s(graph[1]), (graph[3],))
    rows, scores = np.empty(c, dtype=np.int64), np.empty(c, dtype=np.float32)
    for i in range(new.shape[0]):
        count = 0
        for j in range(c):
            if candidates[i, j] >= 0 and candidates[i, j] != new[i]:
                rows[count] = candidates[i, j]
                count += 1
        _sort_by_similarity(vectors, new[i], rows, scores, count, by_distance)
        count_selected = _select_diverse(vectors, rows, scores, count, width, 0, by_distance, neighbours[i])
        neighbours[i, count_selected:] = -1
        _write(graph, offsets[new[i]], width, neighbours[i], count_selected)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def link_back(graph, width, targets, sources, by_distance):  # type: ignore[no-untyped-def]
    """Link each target to its source. A full row keeps 7/8 of its links: a diverse selection, then the nearest.

    graph, width, by_distance  see `link_new`
    targets  (p,) int64 rows, equal ones adjacent
    sources  (p,) int64 rows that link to them
    """
    d, least = graph[6], width - width // 8
    vectors, offsets = carray(floats(graph[0]), (graph[3], d)), carray(int64s(graph[1]), (graph[3],))
    rows, scores = np.empty(width + 1, dtype=np.int64), np.empty(width + 1, dtype=np.float32)
    selected = np.empty(width + 1, dtype=np.int64)
    i = 0
    while i < targets.shape[0]:
        row = targets[i]
        links = carray(int32s(graph[2] + 4 * offsets[row]), (width,))
        count = 0
        while count < width and links[count] >= 0:
            rows[count] = links[count]
            count += 1
        while i < targets.shape[0] and targets[i] == row:
            rows[count] = sources[i]
            i += 1
            position = 0
            while rows[position] != rows[count]:
                position += 1
            if position < count:
                continue
            count += 1
            if count > width:
                _sort_by_similarity(vectors, row, rows, scores, count, by_distance)
                count = _select_diverse(vectors, rows, scores, count, width, least, by_distance, selected)
                rows[:count] = selected[:count]
        _write(graph, offsets[row], width, rows, count)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _sort_by_similarity(vectors, row, rows, scores, count, by_distance):  # type: ignore[no-untyped-def]
    """Sort the first `count` rows by similarity to a row, the most similar first, and write their similarities.

    Ties are broken by a hash of both rows, so that of many equal vectors each is linked from some row.
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
            scores[hole - 1] < score
            or (scores[hole - 1] == score and _hash_pair(rows[hole - 1], row) < _hash_pair(near, row))
        ):
            scores[hole], rows[hole] = scores[hole - 1], rows[hole - 1]
            hole -= 1
        scores[hole], rows[hole] = score, near


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _select_diverse(vectors, rows, scores, count, most, least, by_distance, selected):  # type: ignore[no-untyped-def]
    """Select, the most similar first, up to `most` rows that are not more similar to a selected row than to the row
    itself; then further rows up to `least`. Returns the number written to `selected`.

    rows, scores  of `count` candidates, see `_sort_by_similarity`

    At most half of them are as similar to a selected row: of many equal vectors, each is also linked to others.
    """
    count_selected, pruned, equal = 0, 0, 0
    for c in range(count):
        near, score = rows[c], scores[c]
        accepted, as_similar = count_selected < most, False
        query, s = vectors[near], 0
        while accepted and s < count_selected:
            closeness = similarity(vectors, selected[s], query, by_distance)
            as_similar = as_similar or closeness == score
            accepted = closeness <= score and not (as_similar and 2 * equal >= most)
            s += 1
        if accepted:
            selected[count_selected] = near
            count_selected += 1
            equal += as_similar
        else:
            rows[pruned] = near
            pruned += 1
    for j in range(min(pruned, least - count_selected)):
        selected[count_selected] = rows[j]
        count_selected += 1
    return count_selected


@numba.njit(nogil=True, cache=True)
def _hash_pair(near, row):  # type: ignore[no-untyped-def]
    """A hash of a pair of rows."""
    mixed = np.uint64(near) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(row) * np.uint64(0xC2B2AE3D27D4EB4F)
    return (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)


@numba.njit(nogil=True, cache=True)
def _write(graph, offset, width, rows, count):  # type: ignore[no-untyped-def]
    """Write the links of a row, −1 after the last."""
    links = carray(int32s(graph[2] + 4 * offset), (width,))
    for j in range(width):
        links[j] = rows[j] if j < count else -1
