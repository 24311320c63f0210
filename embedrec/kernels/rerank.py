"""Kernels of the export policies: shared sessions, caps on values, diversity, and filling of short lists."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def count_shared(starts, sessions, seeds, rows, out):  # type: ignore[no-untyped-def]
    """Count the sessions that contain both the seed and each result.

    starts, sessions  the sessions of item a: sessions[starts[a]:starts[a + 1]], ascending, each once
    seeds             (b,) items
    rows              (b, k) items, −1 for missing
    out               (b, k) int64, written, 0 for missing
    """
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            out[i, j] = _shared(starts, sessions, seeds[i], rows[i, j]) if rows[i, j] >= 0 else 0


@numba.njit(nogil=True, cache=True)
def _shared(starts, sessions, a, b):  # type: ignore[no-untyped-def]
    """The number of sessions that contain both items, by a merge, or by binary search where one list is far longer."""
    if starts[a + 1] - starts[a] > starts[b + 1] - starts[b]:
        a, b = b, a
    low, end, count = starts[b], starts[b + 1], 0
    search = end - low > 16 * (starts[a + 1] - starts[a])
    for s in range(starts[a], starts[a + 1]):
        session = sessions[s]
        if search:
            high = end
            while low < high:
                middle = (low + high) // 2
                if sessions[middle] < session:
                    low = middle + 1
                else:
                    high = middle
        else:
            while low < end and sessions[low] < session:
                low += 1
        if low < end and sessions[low] == session:
            count += 1
    return count


@numba.njit(nogil=True, cache=True)
def find_mutual(all_rows, seeds, rows, keep):  # type: ignore[no-untyped-def]
    """Whether the list of each result contains the seed: keep (b, k) bool, written.

    all_rows (n, c) int32, the lists of all items; seeds (b,), rows (b, k), −1 for missing
    """
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            keep[i, j] = False
            if rows[i, j] >= 0:
                for c in range(all_rows.shape[1]):
                    if all_rows[rows[i, j], c] == seeds[i]:
                        keep[i, j] = True
                        break


@numba.njit(nogil=True, cache=True)
def keep_capped(offsets, codes, most, rows, keep):  # type: ignore[no-untyped-def]
    """Keep the first `most` results of each value in a list: keep (b, k) bool, written.

    offsets (n+1,), codes: the values of item a are codes[offsets[a]:offsets[a + 1]]; rows (b, k), −1 for missing
    """
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            a = rows[i, j]
            keep[i, j] = a >= 0
            if a < 0:
                continue
            for v in range(offsets[a], offsets[a + 1]):
                count = 0
                for before in range(j):
                    if keep[i, before]:
                        b = rows[i, before]
                        for w in range(offsets[b], offsets[b + 1]):
                            if codes[w] == codes[v]:
                                count += 1
                                break
                if count >= most:
                    keep[i, j] = False
                    break


@numba.njit(nogil=True, cache=True)
def choose_diverse(vectors, starts, sessions, rows, relevance, weight, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """Maximal marginal relevance: select greedily by (1 − weight)·relevance − weight·similarity (Carbonell & Goldstein
    1998).

    Similarity is the highest cosine with a result selected before, at least 0.

    vectors      (n, d) float32 of norm 1, or (0, 0) for the cosine of items' sets of sessions
    starts, sessions  the sessions of items, see `count_shared`; unused with vectors
    rows         (b, c), best first, −1 for missing; relevance (b, c) float64
    best_rows, best_scores  (b, k), written; −1 and −inf for missing
    """
    c = rows.shape[1]
    similarities = np.empty(c, dtype=np.float64)
    left = np.empty(c, dtype=np.bool_)
    for i in range(rows.shape[0]):
        for j in range(c):
            similarities[j] = 0.0
            left[j] = rows[i, j] >= 0
        for place in range(best_rows.shape[1]):
            best, value = -1, -np.inf
            for j in range(c):
                if left[j]:
                    gain = (1 - weight) * relevance[i, j] - weight * similarities[j]
                    if gain > value:
                        best, value = j, gain
            if best < 0:
                best_rows[i, place], best_scores[i, place] = -1, -np.inf
                continue
            left[best] = False
            best_rows[i, place], best_scores[i, place] = rows[i, best], value
            if place + 1 < best_rows.shape[1]:
                for j in range(c):
                    if left[j]:
                        cosine = _cosine(vectors, starts, sessions, rows[i, best], rows[i, j])
                        similarities[j] = max(similarities[j], cosine)


@numba.njit(nogil=True, cache=True)
def _cosine(vectors, starts, sessions, a, b):  # type: ignore[no-untyped-def]
    if vectors.shape[0] > 0:
        total = 0.0
        for d in range(vectors.shape[1]):
            total += np.float64(vectors[a, d]) * vectors[b, d]
        return total
    sizes = np.float64(starts[a + 1] - starts[a]) * (starts[b + 1] - starts[b])
    return _shared(starts, sessions, a, b) / np.sqrt(sizes) if sizes > 0 else 0.0


@numba.njit(nogil=True, cache=True)
def fill_cooccurring(starts, sessions, offsets, items, seeds, allowed, rows, scores, counts, met):  # type: ignore[no-untyped-def]
    """Fill short lists with items that co-occur with the seed, by the cosine of items' sets of sessions.

    starts, sessions  the sessions of items, see `count_shared`
    offsets, items    the items of sessions, each once
    seeds             (b,) items
    allowed           (n,) bool, items that may be added
    rows, scores      (b, k) int64, float64, written: lists from the left, −1 and −inf for missing
    counts            (n,) int64 of 0, scratch, restored
    met               (n,) int64, scratch
    """
    for i in range(rows.shape[0]):
        count, seed = _length(rows[i]), seeds[i]
        if count == rows.shape[1]:
            continue
        filled = 0
        for s in range(starts[seed], starts[seed + 1]):
            for e in range(offsets[sessions[s]], offsets[sessions[s] + 1]):
                if not allowed[items[e]]:
                    continue
                if counts[items[e]] == 0:
                    met[filled] = items[e]
                    filled += 1
                counts[items[e]] += 1
        counts[seed] = 0
        for j in range(count):
            counts[rows[i, j]] = 0
        own = np.float64(starts[seed + 1] - starts[seed])
        while count < rows.shape[1]:
            best, value = -1, 0.0
            for m in range(filled):
                item = met[m]
                if counts[item] > 0:
                    similarity = counts[item] / np.sqrt(own * (starts[item + 1] - starts[item]))
                    if similarity > value or (similarity == value and item < best):
                        best, value = item, similarity
            if best < 0:
                break
            counts[best] = 0
            _add(rows[i], scores[i], count, best, value)
            count += 1
        for m in range(filled):
            counts[met[m]] = 0


@numba.njit(nogil=True, cache=True)
def fill_popular(popular, shares, offsets, excluded, rows, scores):  # type: ignore[no-untyped-def]
    """Fill short lists with the most popular items that are neither in the list nor excluded.

    popular            (n,) items, the most popular first
    shares             (n,) float64, their scores
    offsets, excluded  items that list i must not contain: excluded[offsets[i]:offsets[i + 1]]
    rows, scores       see `fill_cooccurring`
    """
    for i in range(rows.shape[0]):
        count = _length(rows[i])
        for p in range(popular.shape[0]):
            if count == rows.shape[1]:
                break
            item, present = popular[p], False
            for j in range(count):
                present = present or rows[i, j] == item
            for e in range(offsets[i], offsets[i + 1]):
                present = present or excluded[e] == item
            if not present:
                _add(rows[i], scores[i], count, item, shares[p])
                count += 1


@numba.njit(nogil=True, cache=True)
def _length(row):  # type: ignore[no-untyped-def]
    count = 0
    while count < row.shape[0] and row[count] >= 0:
        count += 1
    return count


@numba.njit(nogil=True, cache=True)
def _add(row, scores, count, item, score):  # type: ignore[no-untyped-def]
    """Append an item to a list, with at most the score of the item before it."""
    row[count] = item
    scores[count] = min(score, scores[count - 1]) if count > 0 else score
